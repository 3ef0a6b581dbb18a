"""Clients of several kinds that stay connected, each known by its own end of the connection."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import Lab
from tests.acceptance.outside import PLAIN_PORT, TLS_PORT
from tests.acceptance.photograph import cli, shell

USER, PASSWORD = 'o=dd"user', "geheim"

KINDS = {
    "named": ("normal", [("CLIENT", "SETNAME", 'shop=web]|["y"')]),
    "logged in": ("normal", [("AUTH", USER, PASSWORD)]),
    "subscribed": ("pubsub", [("SUBSCRIBE", "news")]),
    "by pattern": ("pubsub", [("PSUBSCRIBE", "n*")]),
    "blocked": ("normal", [("BLPOP", "nothing", "0")]),
    "monitoring": ("monitor", [("MONITOR",)]),
    "silent": ("normal", []),
}
Place4 = tuple[str, int]
Place6 = tuple[str, int, int, int]
NAMES = {"named": 'shop=web]|["y"'}
USERS = {"logged in": USER}


@dataclass
class Callers:
    """Who is there, over plaintext: (address, port, kind, name, user), as the server has to say.

    Args:
        address: The server's.
    """

    address: str
    plain: set[tuple[str, int, str, str, str]] = field(default_factory=set)
    sockets: list[socket.socket] = field(default_factory=list)

    def come(self, place: Place4 | Place6) -> None:
        """One of each kind, to this address of the server."""
        for who, (kind, commands) in KINDS.items():
            connection = self._open(place)
            for command in commands:
                connection.sendall(_packed(command))
                if who != "blocked":
                    assert not connection.recv(1000).startswith(b"-"), command
            address, port = connection.getsockname()[:2]
            user = USERS.get(who, "default")
            self.plain.add((address.partition("%")[0], port, kind, NAMES.get(who, ""), user))

    def come_over_tls(self, root: Path, count: int) -> None:
        """That many, silent after their PING."""
        context = ssl.create_default_context(cafile=str(root))
        for _ in range(count):
            plain = socket.create_connection((self.address, TLS_PORT), timeout=10)
            secured = context.wrap_socket(plain, server_hostname=self.address)
            secured.sendall(b"PING\r\n")
            assert secured.recv(100) == b"+PONG\r\n"
            self.sockets.append(secured)

    def ended(self) -> int:
        """How many of all were disconnected by the server."""
        return sum(_ended(each) for each in self.sockets)

    def _open(self, place: Place4 | Place6) -> socket.socket:
        family = socket.AF_INET6 if len(place) == 4 else socket.AF_INET
        connection = socket.socket(family)
        self.sockets.append(connection)
        connection.settimeout(10)
        connection.connect(place)
        return connection


@contextmanager
def callers(lab: Lab, name: str, address: str) -> Iterator[Callers]:
    """Seven kinds of clients over IPv4, and as many over IPv6."""
    made = Callers(address)
    cli(lab, name, "ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
    try:
        made.come((address, PLAIN_PORT))
        made.come(_link_local(lab, name, address))
        yield made
    finally:
        for each in made.sockets:
            each.close()
        cli(lab, name, "ACL", "DELUSER", USER)


def _link_local(lab: Lab, name: str, address: str) -> Place6:
    """The node's IPv6 address, through the lab's bridge."""
    told = shell(lab, name, "ip -6 -o addr show dev eth0 scope link").split()
    argv = ["ip", "-o", "route", "get", address]
    route = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    bridge = route[route.index("dev") + 1]
    return told[3].partition("/")[0], PLAIN_PORT, 0, socket.if_nametoindex(bridge)


def _packed(words: tuple[str, ...]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def _ended(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        while connection.recv(1000):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
