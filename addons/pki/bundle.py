"""Several certificates as one file: what a server or a client is to trust."""

import re
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from addons.pki.errors import CertificateError
from addons.pki.facts import extension, load, text_of
from addons.pki.validity import whole_seconds

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def split(text: str) -> tuple[str, ...]:
    """Return the certificates of a PEM text, each ended by a newline, other text left out."""
    return tuple(f"{block}\n" for block in _BLOCK.findall(text))


def trust_bundle(pems: Iterable[str], *, now: datetime) -> str:
    """Join authorities into one PEM text.

    The same authorities give the same bytes, whatever the order they come in: newest first, no
    doubles, only certificates (a private key pasted beside one is left out).

    Args:
        pems: PEM texts, each of one or more certificates.
        now: An aware moment. Authorities that do not hold at it are left out: Valkey refuses to
            load a bundle with one (valkey pull request 2999).

    Raises:
        CertificateError: ``NotAnAuthority``, ``NoValidAuthority``, or one cannot be read.
    """
    moment = whole_seconds(now)
    found = {
        certificate.fingerprint(SHA256()): certificate
        for certificate in map(load, (block for pem in pems for block in split(pem)))
    }
    for certificate in found.values():
        _refuse_leaf(certificate)
    valid = [each for each in found.values() if _holds(each, moment)]
    if not valid:
        raise CertificateError(
            "NoValidAuthority", "No authority is left to trust: none is given, or all expired."
        )
    return "".join(_pem(each) for each in sorted(valid, key=_newest_first))


def _refuse_leaf(certificate: x509.Certificate) -> None:
    basic = extension(certificate, x509.BasicConstraints)
    if not (basic and basic.ca):
        raise CertificateError(
            "NotAnAuthority",
            f"{text_of(certificate.subject)} is not an authority: it cannot be trusted to issue.",
        )


def _holds(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _newest_first(certificate: x509.Certificate) -> tuple[float, bytes]:
    return -certificate.not_valid_before_utc.timestamp(), certificate.fingerprint(SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
