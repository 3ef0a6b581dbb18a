"""Private keys: the kinds that are made here, and how they are read and written."""

from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from addons.pki.errors import CertificateError
from instances.secret import Secret

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_CURVES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521"}


class KeyType(StrEnum):
    """The kinds of key that Redoubt makes; both give 128 bits of strength (NIST SP 800-57)."""

    EC_P256 = "ec-p256"
    RSA_3072 = "rsa-3072"


def generate(key_type: KeyType) -> SigningKey:
    """Make a private key. The operating system's randomness is the one input not passed in."""
    if key_type is KeyType.EC_P256:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)


def to_pem(key: SigningKey) -> Secret:
    """Write a private key as unencrypted PKCS #8 PEM (RFC 5958)."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Secret(pem.decode("ascii"))


def read_private_key(pem: Secret) -> PrivateKeyTypes:
    """Read an unencrypted PEM private key.

    Raises:
        CertificateError: ``KeyUnreadable`` or ``KeyEncrypted``.
    """
    try:
        return load_pem_private_key(pem.reveal().encode(), password=None)
    except TypeError:
        raise CertificateError(
            "KeyEncrypted", "The private key has a pass-phrase. Give it without one."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        # The library's error is dropped: it may quote what it could not parse.
        raise CertificateError(
            "KeyUnreadable", "This is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)."
        ) from None


def read_signing_key(pem: Secret) -> SigningKey:
    """Read a key that an authority can sign with.

    Raises:
        CertificateError: As `read_private_key`, or ``KeyTypeUnsupported``.
    """
    key = read_private_key(pem)
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key
    raise CertificateError("KeyTypeUnsupported", "An authority's key must be an EC or an RSA key.")


def key_type_name(key: CertificatePublicKeyTypes) -> str:
    """Name a public key's kind: ``ec-p256``, ``rsa-3072``, or the library's own name for it."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, f"ec-{key.curve.name}")
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").lower()


def public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    """Return the DER SubjectPublicKeyInfo, by which two public keys are compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
