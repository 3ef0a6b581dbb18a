"""SSH key pairs: the panel's own, and the ones an operator brings."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from instances.secret import Secret

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


class KeyUnusable(ValueError):  # noqa: N818 (it reads as a sentence)
    """A private key that the panel cannot use; the message says why, and never the key."""


def generate_ed25519(comment: str) -> tuple[Secret, str]:
    """A new key pair: the private key as OpenSSH PEM, and the line for authorized_keys."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return Secret(pem.decode()), f"{_line(key)} {comment}".strip()


def public_line(private: Secret) -> str:
    """The line for authorized_keys of a private key; raises KeyUnusable."""
    return _line(load_private(private))


def load_private(private: Secret) -> PrivateKey:
    """Parse an unencrypted private key (OpenSSH or PEM); raises KeyUnusable."""
    pem = private.reveal().strip().encode() + b"\n"
    load = load_ssh_private_key if b"BEGIN OPENSSH" in pem else load_pem_private_key
    try:
        key = load(pem, None)
    except TypeError as e:
        raise KeyUnusable("The private key has a passphrase: store one without.") from e
    except (ValueError, UnsupportedAlgorithm) as e:
        if "encrypted" in str(e).lower() or "password" in str(e).lower():
            raise KeyUnusable("The private key has a passphrase: store one without.") from e
        raise KeyUnusable("This is no private key in OpenSSH or PEM form.") from e
    if not isinstance(key, PrivateKey):
        raise KeyUnusable("Only Ed25519, ECDSA and RSA keys can be used.")
    return key


def _line(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
