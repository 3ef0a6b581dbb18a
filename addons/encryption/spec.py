"""What can be asked of the encryption add-on, and what is asked where nothing is said."""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_network
from typing import Any

from addons.pki.errors import CertificateError
from addons.pki.keys import KeyType
from addons.pki.names import dns_name, is_ip
from addons.pki.names import ip_address as ip_name
from addons.pki.validity import validate_lifetime
from instances.errors import Invalid

AUTH_CLIENTS = {"no": "no", "optional": "optional", "required": "yes"}
"""Our word to redis.conf's for ``tls-auth-clients``."""

PROTOCOLS = {"1.2": "TLSv1.2 TLSv1.3", "1.3": "TLSv1.3"}
"""The oldest version to what ``tls-protocols`` says."""

AEAD = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""TLS 1.2 suites that authenticate what they encrypt (RFC 9325, 4.2); those of 1.3 all do."""


@dataclass(frozen=True, slots=True)
class EncryptionSpec:
    """The settings of the add-on.

    Args:
        tls_port: The port for TLS: beside the plain one, or its own number where that is closed.
        plaintext: ``keep`` the plain port, or switch it ``off``: TLS only.
        tls_replication: Whether replicas follow their primary over TLS: ``on`` or ``off``.
        tls_cluster: Whether the nodes of a cluster speak TLS to each other: ``on`` or ``off``.
        tls_auth_clients: Whether clients present a certificate: ``no``, ``optional``, ``required``.
        tls_minimum: The oldest TLS version: ``1.2`` or ``1.3``.
        ciphers: Of TLS 1.2: ``aead``, the ``server``'s own choice, or a list as OpenSSL has it.
        bind: ``keep`` the addresses the server listens on, or add the ``node``'s own.
        protected_mode: ``keep`` it, or switch it off by saying ``no``.
        apply: ``live`` where the server can (else a restart), or always a ``restart``.
        networks: From where the port is open; empty for anywhere.
        lifetime_days: Of the certificates.
        key_type: Of authority and certificates.
        sans: Names and addresses for each certificate, besides those that the node has.
        directory: Of the certificates on the node; empty for the server's usual one.
        adopt: ``yes`` takes a server that speaks TLS already into view, and changes nothing.
        renew: Whether certificates are renewed by themselves, ``auto``, or not, ``off``.
    """

    tls_port: int = 6380
    plaintext: str = "keep"
    tls_replication: str = "off"
    tls_cluster: str = "off"
    tls_auth_clients: str = "optional"
    tls_minimum: str = "1.2"
    ciphers: str = "aead"
    bind: str = "keep"
    protected_mode: str = "keep"
    apply: str = "live"
    networks: tuple[str, ...] = ()
    lifetime_days: int = 365
    key_type: str = KeyType.EC_P256.value
    sans: tuple[str, ...] = ()
    directory: str = ""
    adopt: str = "no"
    renew: str = "auto"

    def as_json(self) -> dict[str, Any]:
        """Return the spec for storage."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _LISTS}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "EncryptionSpec":
        """Return a stored spec; settings that came later take their defaults."""
        known = {each.name for each in fields(cls)}
        values = {key: value for key, value in stored.items() if key in known}
        return cls(**values | {name: tuple(values.get(name, ())) for name in _LISTS})

    @property
    def replicates_over_tls(self) -> bool:
        """Whether replicas follow over TLS."""
        return self.tls_replication == "on"

    @property
    def clusters_over_tls(self) -> bool:
        """Whether the nodes of a cluster speak TLS to each other."""
        return self.tls_cluster == "on"

    @property
    def tls_only(self) -> bool:
        """Whether the plain port is closed."""
        return self.plaintext == "off"


_LISTS = ("networks", "sans")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "tls_auth_clients": tuple(AUTH_CLIENTS),
    "plaintext": ("keep", "off"),
    "tls_replication": ("off", "on"),
    "tls_cluster": ("off", "on"),
    "tls_minimum": tuple(PROTOCOLS),
    "bind": ("keep", "node"),
    "protected_mode": ("keep", "no"),
    "apply": ("live", "restart"),
    "key_type": tuple(kind.value for kind in KeyType),
    "adopt": ("no", "yes"),
    "renew": ("auto", "off"),
}


def parse(settings: Mapping[str, str]) -> EncryptionSpec:
    """Return the spec that these texts ask for.

    Raises:
        Invalid: A key is unknown or a value is not acceptable; the key is the error's field.
    """
    known = {each.name for each in fields(EncryptionSpec)}
    for key in settings:
        if key not in known:
            raise Invalid(key, f"There is no setting “{key}”.", f"There are: {_listed(known)}.")
    return EncryptionSpec(
        **{key: _PARSERS.get(key, _choice)(key, text.strip()) for key, text in settings.items()}
    )


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _choice(key: str, text: str) -> str:
    if text not in CHOICES[key]:
        raise Invalid(key, f"{key} is one of {', '.join(CHOICES[key])}; not “{text}”.")
    return text


def _port(key: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Invalid(key, f"{key} is a port from 1 to 65535; not “{text}”.")
    return int(text)


def _lifetime(key: str, text: str) -> int:
    if not text.isdecimal():
        raise Invalid(key, f"{key} is a number of days; not “{text}”.")
    try:
        validate_lifetime(int(text))
    except CertificateError as error:
        raise Invalid(key, str(error)) from error
    return int(text)


def _networks(key: str, text: str) -> tuple[str, ...]:
    if text in {"", "anywhere"}:
        return ()
    networks = []
    for word in text.replace(",", " ").split():
        try:
            networks.append(str(ip_network(word, strict=False)))
        except ValueError as error:
            raise Invalid(
                key, f"“{word}” is not a network.", "Write it as 10.0.0.0/8 or 2001:db8::/32."
            ) from error
    return tuple(networks)


def _sans(key: str, text: str) -> tuple[str, ...]:
    names = []
    for word in text.replace(",", " ").split():
        try:
            names.append(ip_name(word) if is_ip(word) else dns_name(word))
        except CertificateError as error:
            raise Invalid(key, str(error)) from error
    return tuple(dict.fromkeys(names))


def _ciphers(key: str, text: str) -> str:
    if text in {"aead", "server"}:
        return text
    try:
        if not _CIPHERS.fullmatch(text):
            raise ssl.SSLError
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(text)
    except ssl.SSLError as error:
        raise Invalid(
            key,
            f"“{text}” is not a list of ciphers that OpenSSL knows.",
            "Choose aead or server, or names such as ECDHE-RSA-AES128-GCM-SHA256 with colons.",
        ) from error
    return text


def _directory(key: str, text: str) -> str:
    if not text:
        return ""
    # A path of plain characters needs no quoting in redis.conf, in a unit or in a shell.
    parts = text.split("/")
    if not text.startswith("/") or ".." in parts or len(parts) < 3 or not _PLAIN.issuperset(text):
        raise Invalid(
            key,
            f"“{text}” cannot hold the certificates.",
            "Give an absolute path of at least two parts, of letters, digits and . _ - only.",
        )
    return text.rstrip("/")


_CIPHERS = re.compile(r"[A-Za-z0-9_+!@=-]+(:[A-Za-z0-9_+!@=-]+)*")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "tls_port": _port,
    "lifetime_days": _lifetime,
    "networks": _networks,
    "sans": _sans,
    "ciphers": _ciphers,
    "directory": _directory,
}
