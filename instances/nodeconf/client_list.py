"""Who is connected: CLIENT LIST of Redis and Valkey, and the kernel's table of sockets. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address


class Kind(StrEnum):
    """What a connection is for, as the server's flags say."""

    NORMAL = "normal"
    PUBSUB = "pubsub"
    REPLICA = "replica"
    MONITOR = "monitor"


# Redis 7.0.15 src/networking.c, catClientInfoString; of several letters the first of these counts.
_KINDS = {"S": Kind.REPLICA, "O": Kind.MONITOR, "P": Kind.PUBSUB}
_UNIX = "U"
_ZONE = re.compile(r"%[^\]:]*")
_HOLDER = re.compile(r"pid=(\d+)")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a TCP connection. A zone (``%eth0``) is not part of it: the server names none."""

    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Client:
    """One TCP connection, as the server tells of it.

    Args:
        number: The server's own id of it, never given twice in the server's life.
        peer: The client's end.
        local: The server's end; None before 6.2, which do not tell.
        age: Seconds since it came.
        idle: Seconds since its last command.
        library: Name and version, where the client told and the server tells (7.2 on).
    """

    number: int
    peer: Place
    local: Place | None
    kind: Kind
    name: str
    user: str
    age: int
    idle: int
    library: str


@dataclass(frozen=True, slots=True)
class Socket:
    """An established TCP connection, as the kernel tells of it.

    Args:
        holders: The processes that have it open; empty where the kernel names none.
    """

    local: Place
    peer: Place
    holders: frozenset[int]


def parse_clients(text: str) -> list[Client]:
    """Read CLIENT LIST; connections over a Unix socket are left out.

    Fields come and go by version. No value holds a space: the server refuses such names and users
    (redis 7.0.15 src/networking.c, validateClientAttr; src/acl.c, ACLStringHasSpaces), except for a
    Unix socket's path.
    """
    return [client for line in text.splitlines() if (client := _client(line)) is not None]


def _client(line: str) -> Client | None:
    told = {key: value for word in line.split(" ") for key, _, value in [word.partition("=")]}
    peer, flags = _place(told.get("addr", "")), told.get("flags", "")
    if peer is None or _UNIX in flags:
        return None
    library = f"{told.get('lib-name', '')} {told.get('lib-ver', '')}"
    return Client(
        number=_count(told, "id"),
        peer=peer,
        local=_place(told.get("laddr", "")),
        kind=next((kind for flag, kind in _KINDS.items() if flag in flags), Kind.NORMAL),
        name=_shown(told.get("name", "")),
        user=_shown(told.get("user", "")),
        age=_count(told, "age"),
        idle=_count(told, "idle"),
        library=_shown(library).strip(),
    )


def parse_sockets(text: str) -> list[Socket]:
    """Read ``ss -tnpH state established``; ss without names of processes is understood, too."""
    return list(_sockets(text))


def _sockets(text: str) -> Iterator[Socket]:
    for line in text.splitlines():
        words = line.split(None, 4)
        local, peer = (_place(word) for word in words[2:4]) if len(words) > 3 else (None, None)
        if local is not None and peer is not None:
            holders = _HOLDER.findall(words[4]) if len(words) > 4 else []
            yield Socket(local, peer, frozenset(int(pid) for pid in holders))


def _place(text: str) -> Place | None:
    """Read ``1.2.3.4:5``, ``[fe80::1]:5`` or, of ss, ``[fe80::1]%eth0:5``."""
    host, _, port = _ZONE.sub("", text).rpartition(":")
    try:
        address, number = ip_address(host.strip("[]")), int(port)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return Place(str(address), number)


def _count(told: dict[str, str], field: str) -> int:
    text = told.get(field, "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def _shown(text: str) -> str:
    """Names may hold any byte but spaces; what no database and no terminal takes is replaced."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
