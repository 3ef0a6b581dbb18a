"""What is asked for, and the bytes that leave. Writes nothing: whoever has them has the key."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from addons.models import Authority, Certificate
from addons.pki.client_bundle import ClientBundle, SignedBundle
from addons.pki.facts import LeafFacts
from addons.pki.how_to import Endpoint
from addons.pki.keys import KeyType
from addons.pki.leaf import LeafRequest, issue_from_csr, issue_leaf
from addons.pki.serial import new_serial
from instances.secret import Secret

Form = Certificate.Form
LIFETIME = 365
"""Days, where nothing else is asked for."""
SUFFIXES: Mapping[str, str] = {
    Form.ZIP: "zip",
    Form.PKCS12: "p12",
    Form.PEM: "pem",
    Form.CSR: "zip",
}


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """What is asked for; names follow the form and the command.

    Args:
        holder: Whose certificate it is: the subject's common name.
        lifetime_days: 1 to 3650. The authority's end may cut it short.
        key_type: Of the key that is made; a signing request brings its own.
        passphrase: Of the PKCS #12 file.
        csr: The signing request, PEM.
        once: Of the page that it is asked for on. A second request with it is refused.
        replaces: The serial of the one whose place it takes: nobody is warned of that one's end.
    """

    holder: str
    form: str = Form.ZIP
    lifetime_days: int = LIFETIME
    key_type: KeyType = KeyType.EC_P256
    passphrase: Secret = field(default_factory=lambda: Secret(""))
    csr: str = ""
    once: UUID | None = None
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Handout:
    """A new certificate as it leaves: give it away, keep it nowhere.

    Args:
        certificate: What is kept of it.
        name: Of the file.
        content: The file, with the key unless its holder has that already.
    """

    certificate: Certificate
    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a certificate comes from.

    Args:
        trust: The authorities that the client is to trust, PEM.
        endpoints: The servers that it opens.
    """

    authority: Authority
    trust: str
    endpoints: Sequence[Endpoint]


def make(source: Source, request: ClientRequest, now: datetime) -> tuple[LeafFacts, bytes]:
    """Make a key and its certificate; return what may be kept of them, and the file that leaves.

    Raises:
        CertificateError: What is asked for is not acceptable, or the authority has ended.
    """
    if request.form == Form.CSR:
        return _signed(source, request, now)
    leaf = issue_leaf(
        request=LeafRequest(
            request.holder,
            lifetime_days=request.lifetime_days,
            key_type=request.key_type,
            purpose="client",
        ),
        authority_pem=source.authority.certificate,
        authority_key=source.authority.private_key,
        now=now,
        serial=new_serial(),
    )
    bundle = ClientBundle(leaf.certificate_pem, leaf.key, source.trust)
    match request.form:
        case Form.PKCS12:
            return leaf.public, bundle.as_pkcs12(passphrase=request.passphrase)
        case Form.PEM:
            return leaf.public, bundle.as_pem().reveal().encode()
    return leaf.public, bundle.as_zip(now=now, endpoints=source.endpoints)


def _signed(source: Source, request: ClientRequest, now: datetime) -> tuple[LeafFacts, bytes]:
    leaf = issue_from_csr(
        csr_pem=request.csr,
        common_name=request.holder,
        lifetime_days=request.lifetime_days,
        authority_pem=source.authority.certificate,
        authority_key=source.authority.private_key,
        now=now,
        serial=new_serial(),
    )
    bundle = SignedBundle(leaf.certificate_pem, source.trust)
    return leaf.public, bundle.as_zip(now=now, endpoints=source.endpoints)


def file_name(environment: str, holder: str, form: str) -> str:
    """Return a name that every system takes for a file."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{environment}-{holder}").strip("-.")
    return f"{plain}.{SUFFIXES[form]}"
