"""Making a certificate authority."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from addons.pki import names
from addons.pki.keys import KeyType, generate, to_pem
from addons.pki.validity import BACKDATE, whole_seconds
from instances.secret import Secret

__all__ = ["KeyType", "create_authority"]


def create_authority(
    *, name: str, key_type: KeyType, now: datetime, serial: int, years: int = 10
) -> tuple[str, Secret]:
    """Make a self-signed authority that can issue leaves and nothing below them.

    Args:
        name: What people call it; the subject is ``Redoubt authority NAME``.
        key_type: The kind of its key.
        now: An aware moment; the certificate holds from one hour before.
        serial: From `addons.pki.serial.new_serial`. It also tells the subject apart from that of
            an older authority of the same name.
        years: How long it holds, 1 to 30.

    Returns:
        The certificate as PEM, and its private key as PKCS #8 PEM.

    Raises:
        CertificateError: ``NameInvalid``.
        ValueError: `years` is out of range, `now` naive, or `serial` not a positive 159-bit number.
    """
    if not 1 <= years <= 30:
        raise ValueError("an authority holds for 1 to 30 years")
    key = generate(key_type)
    start = whole_seconds(now)
    subject = names.subject(f"Redoubt authority {name}", qualifier=f"{serial:016x}"[-16:])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start - BACKDATE)
        .not_valid_after(start + timedelta(days=365.25 * years))
        # RFC 5280, 4.2.1.9 and 4.2.1.3: both critical in an authority.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, SHA256())
    return certificate.public_bytes(Encoding.PEM).decode("ascii"), to_pem(key)


_AUTHORITY_USAGE = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
