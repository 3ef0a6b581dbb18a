"""What a certificate says, as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from addons.pki.errors import CertificateError
from addons.pki.keys import key_type_name, public_bytes, read_private_key
from instances.secret import Secret

__all__ = ["CertificateError", "LeafFacts", "Purpose", "load", "matches_key", "read_certificate"]

Purpose = Literal["server", "client", "authority"]
Kind = TypeVar("Kind", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """The public content of one certificate; of an authority's too.

    Args:
        serial: Lower-case hexadecimal, as ``openssl x509 -serial`` shows in upper case.
        subject: RFC 4514 text, such as ``CN=redis-1,O=Redoubt``.
        fingerprint_sha256: Upper-case hexadecimal pairs joined by colons, as OpenSSL prints it.
        not_before: Aware, UTC. `not_after` likewise, and inclusive (RFC 5280, 4.1.2.5).
        key_type: ``ec-p256``, ``rsa-3072``, or another kind's name.
        purpose: ``server`` also where nothing limits the usage.
        subject_key_id: Hexadecimal; empty where the extension is absent. `authority_key_id` too.
    """

    serial: str
    common_name: str
    subject: str
    issuer: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    fingerprint_sha256: str
    not_before: datetime
    not_after: datetime
    key_type: str
    purpose: Purpose
    subject_key_id: str = ""
    authority_key_id: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return values that `json.dumps` takes; moments as ISO 8601."""
        dates = {"not_before": self.not_before, "not_after": self.not_after}
        lists = {"dns_names": self.dns_names, "ip_addresses": self.ip_addresses}
        return (
            asdict(self)
            | {name: moment.isoformat() for name, moment in dates.items()}
            | {name: list(values) for name, values in lists.items()}
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "LeafFacts":
        """Read back what `as_json` wrote."""
        return cls(
            **{
                **values,
                "dns_names": tuple(values["dns_names"]),
                "ip_addresses": tuple(values["ip_addresses"]),
                "not_before": datetime.fromisoformat(values["not_before"]),
                "not_after": datetime.fromisoformat(values["not_after"]),
            }
        )


def read_certificate(encoded: str | bytes) -> LeafFacts:
    """Read one certificate, PEM or DER; of several in one PEM text, the first.

    Raises:
        CertificateError: ``Empty``, ``PrivateKeyGiven`` or ``Unreadable``.
    """
    return facts_of(load(encoded))


def matches_key(certificate: str | bytes, key: Secret) -> bool:
    """Tell whether a private key belongs to a certificate.

    Raises:
        CertificateError: Either of the two cannot be read.
    """
    public = read_private_key(key).public_key()
    return public_bytes(load(certificate).public_key()) == public_bytes(public)  # type: ignore[arg-type]


def load(encoded: str | bytes) -> x509.Certificate:
    """Parse one certificate, PEM or DER, for the other modules of this room.

    Raises:
        CertificateError: As `read_certificate`.
    """
    raw = encoded.encode() if isinstance(encoded, str) else encoded
    if not raw.strip():
        raise CertificateError("Empty", "There is no certificate here: the text is empty.")
    pem = b"-----BEGIN" in raw
    if pem and b"-----BEGIN CERTIFICATE" not in raw and b"PRIVATE KEY" in raw:
        raise CertificateError(
            "PrivateKeyGiven", "This is a private key, not a certificate. Give the certificate."
        )
    try:
        certificate = (
            x509.load_pem_x509_certificate(raw) if pem else x509.load_der_x509_certificate(raw)
        )
        certificate.extensions  # noqa: B018  # Parsed on first use: find out here, not later.
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType) as error:
        raise CertificateError(
            "Unreadable", "This is not a whole X.509 certificate in PEM or DER form."
        ) from error
    except x509.DuplicateExtension as error:
        raise CertificateError("Unreadable", f"The certificate is not valid: {error}") from error
    return certificate


def facts_of(certificate: x509.Certificate) -> LeafFacts:
    """Take the facts from a parsed certificate."""
    san = extension(certificate, x509.SubjectAlternativeName)
    ski = extension(certificate, x509.SubjectKeyIdentifier)
    aki = extension(certificate, x509.AuthorityKeyIdentifier)
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return LeafFacts(
        serial=f"{certificate.serial_number:x}",
        common_name=str(common[0].value) if common else "",
        subject=text_of(certificate.subject),
        issuer=text_of(certificate.issuer),
        dns_names=tuple(san.get_values_for_type(x509.DNSName)) if san else (),
        ip_addresses=tuple(map(str, san.get_values_for_type(x509.IPAddress))) if san else (),
        fingerprint_sha256=certificate.fingerprint(SHA256()).hex(":").upper(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key_type=key_type_name(certificate.public_key()),
        purpose=_purpose(certificate),
        subject_key_id=ski.digest.hex() if ski else "",
        authority_key_id=(aki.key_identifier or b"").hex() if aki else "",
    )


def extension(certificate: x509.Certificate, kind: type[Kind]) -> Kind | None:
    """Return one extension's value, or None where the certificate lacks it."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def text_of(name: x509.Name) -> str:
    """Write a distinguished name as RFC 4514 has it."""
    return name.rfc4514_string({NameOID.DN_QUALIFIER: "dnQualifier"})


def _purpose(certificate: x509.Certificate) -> Purpose:
    basic = extension(certificate, x509.BasicConstraints)
    if basic and basic.ca:
        return "authority"
    usages = extension(certificate, x509.ExtendedKeyUsage)
    if usages and ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        return "client"
    return "server"
