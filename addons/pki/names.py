"""Names that go into certificates: checked and in one spelling."""

import ipaddress
import re

from cryptography import x509
from cryptography.x509.oid import NameOID

from addons.pki.errors import CertificateError

# Letters, digits, hyphen, and the underscore that container names have (RFC 1123, 2.1).
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST_COMMON_NAME = 64  # ub-common-name, RFC 5280, appendix A.1


def dns_name(text: str) -> str:
    """Return a DNS name in lower case and without its final dot; ``*.`` may stand in front.

    Raises:
        CertificateError: ``NameInvalid``.
    """
    name = text.strip().lower().removesuffix(".")
    labels = name.removeprefix("*.").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise CertificateError(
            "NameInvalid",
            f"{text!r} is not a DNS name. Use letters, digits, hyphens and dots; "
            "write an international name in its xn-- form.",
        )
    if labels[-1].isdigit():
        raise CertificateError("NameInvalid", f"{text!r} is neither a DNS name nor an IP address.")
    return name


def ip_address(text: str) -> str:
    """Return an IP address in its canonical spelling.

    Raises:
        CertificateError: ``NameInvalid``, for a zone (``%eth0``) too: a certificate has no room
            for one.
    """
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise CertificateError("NameInvalid", f"{text!r} is not an IP address.") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise CertificateError("NameInvalid", f"Give {text!r} without its zone.")
    return str(address)


def dns_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names checked, without doubles, in the order given."""
    return tuple(dict.fromkeys(dns_name(name) for name in names))


def ip_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses checked, without doubles, in the order given."""
    return tuple(dict.fromkeys(ip_address(address) for address in addresses))


def common_name(text: str) -> str:
    """Return a common name that a certificate can hold.

    Raises:
        CertificateError: ``NameInvalid`` where it is empty, has control characters, or is longer
            than 64 bytes (RFC 5280, appendix A.1).
    """
    name = text.strip()
    if not name or not name.isprintable():
        raise CertificateError("NameInvalid", "A certificate needs a name of printable characters.")
    if len(name.encode()) > _LONGEST_COMMON_NAME:
        raise CertificateError(
            "NameInvalid",
            f"{name!r} is longer than {_LONGEST_COMMON_NAME} bytes. Shorten it; "
            "the names that clients connect to stand elsewhere in the certificate.",
        )
    return name


def subject(name: str, *, qualifier: str = "") -> x509.Name:
    """Build the subject ``CN=name, O=Redoubt``.

    Args:
        name: The common name.
        qualifier: Tells apart two subjects of the same name (X.520, dnQualifier). An authority
            and its successor need it: some clients look an issuer up by its subject alone.
    """
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Redoubt"),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name(name)),
    ]
    if qualifier:
        attributes.append(x509.NameAttribute(NameOID.DN_QUALIFIER, qualifier))
    return x509.Name(attributes)


def covers(name: str, *, dns: tuple[str, ...], ips: tuple[str, ...]) -> bool:
    """Tell whether certificate names cover what a client connects to (RFC 9525, 6.3).

    An address matches addresses alone, never a DNS name; a wildcard is one left-most label.
    """
    try:
        return ip_address(name) in ips
    except CertificateError:
        pass
    wanted = name.strip().lower().removesuffix(".")
    _, _, parent = wanted.partition(".")
    return wanted in dns or (bool(parent) and f"*.{parent}" in dns)


def is_ip(text: str) -> bool:
    """Say whether the text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
