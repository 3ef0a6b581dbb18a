"""Whether a certificate holds the name that a client asks for. Pure."""

import ipaddress
from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes or no, and why: a CamelCase reason and a sentence."""

    ok: bool
    reason: str
    message: str

    def __bool__(self) -> bool:
        return self.ok


def name_verdict(name: str, sans: tuple[str, ...]) -> Verdict:
    """Whether a client that asks for `name` accepts these names (RFC 6125: leftmost wildcards)."""
    if any(_covers(san, name) for san in sans):
        return Verdict(ok=True, reason="NameMatches", message=f"the certificate holds {name}")
    held = ", ".join(sans) or "no name at all"
    return Verdict(ok=False, reason="NameMismatch", message=f"{name} is not among {held}")


def subject_alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Its DNS names and IP addresses, as "DNS:…" and "IP:…"."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns = [f"DNS:{name}" for name in names.get_values_for_type(x509.DNSName)]
    return (*dns, *(f"IP:{address}" for address in names.get_values_for_type(x509.IPAddress)))


def _covers(san: str, name: str) -> bool:
    kind, _, value = san.partition(":")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return kind == "DNS" and _dns_covers(value.lower(), name.lower().rstrip("."))
    return kind == "IP" and ipaddress.ip_address(value) == address


def _dns_covers(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        first, _, rest = name.partition(".")
        return bool(first) and rest == pattern[2:]
    return pattern == name
