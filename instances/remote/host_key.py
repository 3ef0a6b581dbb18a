"""Host keys: fingerprints, and a look at the key a machine shows."""

import base64
import hashlib
from dataclasses import dataclass

from instances.remote.errors import HostKeyChanged, HostKeyUnknown
from instances.remote.transport import dial_ssh, exchange_keys, new_transport

_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


@dataclass(frozen=True, slots=True)
class HostKey:
    """A machine's public host key."""

    type: str
    line: str
    fingerprint_sha256: str


def fingerprint(line: str) -> str:
    """The fingerprint of a key line as ssh-keygen -l shows it; raises ValueError."""
    words = line.split()
    if len(words) < 2:
        raise ValueError("a host key line reads: TYPE BASE64")
    digest = hashlib.sha256(base64.b64decode(words[1], validate=True)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def scan_host_key(address: str, port: int = 22, timeout: float = 5.0) -> HostKey:
    """The host key a machine shows, preferring Ed25519. A key exchange only, no login."""
    node = f"{address}:{port}"
    transport = new_transport(dial_ssh(node, address, port, timeout), _TYPES)
    try:
        line = exchange_keys(node, transport, timeout)
    finally:
        transport.close()
    return HostKey(line.split()[0], line, fingerprint(line))


def check_host_key(node: str, *, pinned: str, shown: str) -> None:
    """Raise HostKeyChanged where the machine shows another key than the pinned one."""
    if pinned.split()[:2] != shown.split()[:2]:
        raise HostKeyChanged(
            node, f"the host key is {fingerprint(shown)}, pinned is {fingerprint(pinned)}"
        )


def check_pinned(node: str, host_key: str) -> None:
    """Raise HostKeyUnknown where there is no pinned key to compare with."""
    if len(host_key.split()) < 2:
        raise HostKeyUnknown(node, "the machine's host key has not been confirmed yet")
