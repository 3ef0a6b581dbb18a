"""A client's certificate and trust as one download, with its key or without. Nothing is kept."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from addons.pki.bundle import split
from addons.pki.errors import CertificateError
from addons.pki.facts import load, matches_key, read_certificate
from addons.pki.how_to import Endpoint, readme
from addons.pki.keys import read_signing_key
from instances.secret import Secret

FILES = ("client.crt", "client.key", "root.crt", "README.txt")
"""What the ZIP archive of a certificate with its key holds."""
SIGNED_FILES = ("client.crt", "root.crt", "README.txt")
"""The same of one whose holder has the key already."""


@dataclass(frozen=True, slots=True)
class ClientBundle:
    """What a client needs.

    Args:
        certificate_pem: Its certificate.
        key: Its private key, PKCS #8 PEM.
        trust_pem: The authorities that it is to trust, from `addons.pki.bundle.trust_bundle`.

    Raises:
        CertificateError: ``KeyMismatch``, or a part cannot be read.
    """

    certificate_pem: str
    key: Secret
    trust_pem: str

    def __post_init__(self) -> None:
        if not matches_key(self.certificate_pem, self.key):
            raise CertificateError("KeyMismatch", "The key does not belong to the certificate.")
        _refuse_no_trust(self.trust_pem)

    def as_zip(self, *, now: datetime, endpoints: Sequence[Endpoint] = ()) -> bytes:
        """Return `FILES` as a ZIP archive.

        Args:
            now: The time that the files bear.
            endpoints: The servers that the how-to names.
        """
        how_to = readme(read_certificate(self.certificate_pem), endpoints, key=True)
        texts = (self.certificate_pem, self.key.reveal(), self.trust_pem, how_to)
        return _archive(zip(FILES, texts, strict=True), now)

    def as_pem(self) -> Secret:
        """Return key, certificate and authorities as one PEM text, in that order."""
        return Secret(f"{self.key.reveal()}{self.certificate_pem}{self.trust_pem}")

    def as_pkcs12(self, *, passphrase: Secret) -> bytes:
        """Return a PKCS #12 file (RFC 7292), AES-256 under the pass-phrase.

        Java 8u301 and later, .NET and OpenSSL 1.1 read it.

        Raises:
            CertificateError: ``PassphraseMissing``.
        """
        if not passphrase:
            raise CertificateError("PassphraseMissing", "A PKCS #12 file needs a pass-phrase.")
        return serialize_key_and_certificates(
            read_certificate(self.certificate_pem).common_name.encode(),
            read_signing_key(self.key),
            load(self.certificate_pem),
            [load(pem) for pem in split(self.trust_pem)],
            BestAvailableEncryption(passphrase.reveal().encode()),
        )


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """What a client gets that has its key already.

    Raises:
        CertificateError: A part cannot be read.
    """

    certificate_pem: str
    trust_pem: str

    def __post_init__(self) -> None:
        _refuse_no_trust(self.trust_pem)

    def as_zip(self, *, now: datetime, endpoints: Sequence[Endpoint] = ()) -> bytes:
        """Return `SIGNED_FILES` as a ZIP archive; arguments as `ClientBundle.as_zip` has them."""
        how_to = readme(read_certificate(self.certificate_pem), endpoints, key=False)
        texts = (self.certificate_pem, self.trust_pem, how_to)
        return _archive(zip(SIGNED_FILES, texts, strict=True), now)


def _refuse_no_trust(trust_pem: str) -> None:
    if not split(trust_pem):
        raise CertificateError("NoValidAuthority", "The bundle has no authority to trust.")


def _archive(files: Iterable[tuple[str, str]], now: datetime) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files:
            info = zipfile.ZipInfo(name, date_time=now.timetuple()[:6])
            info.create_system = 3  # Unix, so that unpacking keeps the mode.
            mode = 0o600 if name.endswith(".key") else 0o644
            info.external_attr = (0o100000 | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text)
    return buffer.getvalue()
