"""Reading certificate signing requests (RFC 2986)."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from addons.pki.errors import CertificateError


def read(csr_pem: str) -> x509.CertificateSigningRequest:
    """Parse a request and check that its holder has the key.

    Raises:
        CertificateError: ``RequestUnreadable`` or ``RequestNotSigned``.
    """
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        signed = csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CertificateError(
            "RequestUnreadable",
            "This is not a signing request in PEM form (-----BEGIN CERTIFICATE REQUEST-----).",
        ) from error
    if not signed:
        raise CertificateError(
            "RequestNotSigned", "The request's signature does not fit its key. Make it anew."
        )
    return csr


def refuse_weak(key: CertificatePublicKeyTypes) -> None:
    """Refuse keys under 112 bits of strength, and kinds that TLS stacks do not all know.

    Raises:
        CertificateError: ``KeyTooWeak``.
    """
    strong_rsa = isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192
    strong_ec = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1
    )
    if not (strong_rsa or strong_ec):
        raise CertificateError(
            "KeyTooWeak", "The request's key must be EC P-256, P-384, P-521, or RSA of 2048 bits."
        )
