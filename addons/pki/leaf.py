"""Issuing leaf certificates, for servers and for clients."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from addons.pki import names, signing_request
from addons.pki.errors import CertificateError
from addons.pki.facts import LeafFacts, extension, facts_of, load, matches_key
from addons.pki.keys import KeyType, SigningKey, generate, public_bytes, read_signing_key, to_pem
from addons.pki.validity import BACKDATE, validate_lifetime, whole_seconds
from instances.secret import Secret

LeafPurpose = Literal["server", "client"]


@dataclass(frozen=True, slots=True)
class LeafRequest:
    """What a leaf certificate should say. Names are checked and put in one spelling.

    Args:
        common_name: The subject's name; for a client it can be the ACL user (Redis 8.6,
            ``tls-auth-clients-user``).
        dns_names: DNS names that clients use; a server needs one of these or an address.
        ip_addresses: IP addresses that clients use.
        lifetime_days: 1 to 3650. The authority's end may cut it short.
        purpose: A ``server`` leaf also serves as a client's: a replica shows it to its primary.

    Raises:
        CertificateError: ``NameInvalid``, ``NamesMissing`` or ``LifetimeInvalid``.
    """

    common_name: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    lifetime_days: int = 365
    key_type: KeyType = KeyType.EC_P256
    purpose: LeafPurpose = "server"

    def __post_init__(self) -> None:
        object.__setattr__(self, "common_name", names.common_name(self.common_name))
        object.__setattr__(self, "dns_names", names.dns_names(self.dns_names))
        object.__setattr__(self, "ip_addresses", names.ip_addresses(self.ip_addresses))
        validate_lifetime(self.lifetime_days)
        if self.purpose == "server" and not (self.dns_names or self.ip_addresses):
            raise CertificateError(
                "NamesMissing",
                f"A server certificate for {self.common_name} needs a name or an address "
                "that clients connect to. Add one to the node.",
            )


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate, its private key (PKCS #8 PEM), and what may be stored of it."""

    certificate_pem: str
    key: Secret
    public: LeafFacts


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate for a key that never left its holder, and what may be stored of it."""

    certificate_pem: str
    public: LeafFacts


def issue_leaf(
    *,
    request: LeafRequest,
    authority_pem: str,
    authority_key: Secret,
    now: datetime,
    serial: int,
) -> Issued:
    """Make a key and a certificate for it.

    Args:
        request: What it should say.
        authority_pem: The authority that issues it.
        authority_key: The authority's private key, PEM.
        now: An aware moment. The certificate holds from one hour before, and never past the end
            of its authority.
        serial: From `addons.pki.serial.new_serial`.

    Raises:
        CertificateError: ``AuthorityExpired``, ``NotAnAuthority``, ``KeyMismatch``, or the
            authority or its key cannot be read.
    """
    signer = _Signer.open(authority_pem, authority_key)
    key = generate(request.key_type)
    certificate = signer.sign(request, key.public_key(), now=now, serial=serial)
    return Issued(_pem(certificate), to_pem(key), facts_of(certificate))


def issue_from_csr(
    *,
    csr_pem: str,
    common_name: str,
    lifetime_days: int,
    authority_pem: str,
    authority_key: Secret,
    now: datetime,
    serial: int,
) -> Signed:
    """Issue a client certificate for a signing request (RFC 2986).

    The public key comes from the request, nothing else: whatever names it asks for, or a right to
    sign, is never copied.

    Args:
        common_name: Whose certificate it is, whatever the request says.

    Raises:
        CertificateError: As `LeafRequest` and `issue_leaf`, or ``RequestUnreadable``,
            ``RequestNotSigned``, ``KeyTooWeak``, ``KeyReused``.
    """
    request = LeafRequest(common_name, lifetime_days=lifetime_days, purpose="client")
    csr = signing_request.read(csr_pem)
    signer = _Signer.open(authority_pem, authority_key)
    public_key = csr.public_key()
    signing_request.refuse_weak(public_key)
    if public_bytes(public_key) == public_bytes(signer.certificate.public_key()):
        raise CertificateError("KeyReused", "The request holds the authority's own key.")
    certificate = signer.sign(request, public_key, now=now, serial=serial)
    return Signed(_pem(certificate), facts_of(certificate))


@dataclass(frozen=True, slots=True)
class _Signer:
    certificate: x509.Certificate
    key: SigningKey

    @classmethod
    def open(cls, authority_pem: str, authority_key: Secret) -> "_Signer":
        certificate = load(authority_pem)
        basic = extension(certificate, x509.BasicConstraints)
        if not (basic and basic.ca):
            raise CertificateError("NotAnAuthority", "This certificate may not issue others.")
        if not matches_key(authority_pem, authority_key):
            raise CertificateError(
                "KeyMismatch", "The authority's key does not belong to its certificate."
            )
        return cls(certificate, read_signing_key(authority_key))

    def sign(
        self,
        request: LeafRequest,
        public_key: CertificatePublicKeyTypes,
        *,
        now: datetime,
        serial: int,
    ) -> x509.Certificate:
        start, end = _validity(self.certificate, request.lifetime_days, whole_seconds(now))
        builder = (
            x509.CertificateBuilder()
            .subject_name(names.subject(request.common_name))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(end)
        )
        for value, critical in _extensions(request, public_key, self.certificate):
            builder = builder.add_extension(value, critical=critical)
        return builder.sign(self.key, SHA256())


def _validity(
    authority: x509.Certificate, lifetime_days: int, now: datetime
) -> tuple[datetime, datetime]:
    end = authority.not_valid_after_utc
    if now >= end:
        raise CertificateError(
            "AuthorityExpired",
            f"The authority expired on {end:%Y-%m-%d}. Rotate to a new one first.",
        )
    start = max(now - BACKDATE, authority.not_valid_before_utc)
    return start, min(now + timedelta(days=lifetime_days), end)


def _extensions(
    request: LeafRequest, public_key: CertificatePublicKeyTypes, authority: x509.Certificate
) -> Iterable[tuple[x509.ExtensionType, bool]]:
    """Yield a leaf's extensions, each with whether it is critical (RFC 5280, 4.2.1)."""
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield _key_usage(public_key), True
    yield x509.ExtendedKeyUsage(_usages(request.purpose)), False
    yield x509.SubjectKeyIdentifier.from_public_key(public_key), False
    yield _authority_key_identifier(authority), False
    if alternative := _alternative_names(request):
        yield x509.SubjectAlternativeName(alternative), False


def _usages(purpose: LeafPurpose) -> list[x509.ObjectIdentifier]:
    # A replica, a Sentinel and a Cluster node are clients of their peers with the same leaf.
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return both if purpose == "server" else both[1:]


def _alternative_names(request: LeafRequest) -> list[x509.GeneralName]:
    dns = [x509.DNSName(name) for name in request.dns_names]
    ips = [x509.IPAddress(ipaddress.ip_address(text)) for text in request.ip_addresses]
    return [*dns, *ips]


def _authority_key_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    if ski := extension(authority, x509.SubjectKeyIdentifier):
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())  # type: ignore[arg-type]


def _key_usage(public_key: CertificatePublicKeyTypes) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        # TLS 1.2's RSA key exchange needs it; it means nothing for EC (RFC 8422, 5.3).
        key_encipherment=isinstance(public_key, rsa.RSAPublicKey),
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
