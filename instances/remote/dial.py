"""Opening a TCP connection from the panel, with errors of the family."""

import errno
import socket

from instances.remote.errors import Unreachable

_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL}
# An unanswered keepalive or packet ends a dead connection after this long, not after minutes.
_UNANSWERED_MS = 20_000


def dial(node: str, address: str, port: int, timeout: float = 5.0) -> socket.socket:
    """Connect; raises Unreachable with the reason. `node` names the machine in errors."""
    try:
        sock = socket.create_connection((address, port), timeout)
    except OSError as e:
        raise unreachable(node, address, port, e) from e
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)
    return sock


def unreachable(node: str, address: str, port: int, error: OSError) -> Unreachable:
    """The Unreachable for what the operating system said."""
    reason, what = _reason(error)
    return Unreachable(node, f"{address} port {port} {what}", reason=reason)


def _reason(error: OSError) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return "ConnectTimeout", "did not answer in time; a firewall may drop it"
    if isinstance(error, ConnectionRefusedError):
        return "ConnectionRefused", "refused the connection: nothing listens there"
    if isinstance(error, socket.gaierror):
        return "NameNotFound", "could not be looked up: no such name"
    if error.errno in _NO_ROUTE:
        return "NoRoute", "cannot be reached from here: no route"
    return "ConnectFailed", f"could not be connected to: {error.strerror or error}"
