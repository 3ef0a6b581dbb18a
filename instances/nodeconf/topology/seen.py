"""What one server says of the servers around it."""

import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from instances.nodeconf.client_list import Place

Slots = tuple[tuple[int, int], ...]


class Role(StrEnum):
    """What a server is, by its own account."""

    PRIMARY = "primary"
    REPLICA = "replica"
    SENTINEL = "sentinel"
    UNKNOWN = ""


class Down(StrEnum):
    """How sure somebody is that a server is down."""

    NO = ""
    SUSPECTED = "suspected"
    YES = "down"


@dataclass(frozen=True, slots=True)
class Following:
    """A replica's link to its primary, as the replica tells.

    Args:
        idle: Seconds since the primary last said something; None while the link is down.
        syncing: Whether it is fetching everything anew.
    """

    primary: Place
    up: bool
    idle: int | None
    syncing: bool


@dataclass(frozen=True, slots=True)
class Follower:
    """A replica, as its primary tells.

    Args:
        place: What the replica announces.
        online: Whether it has got everything and follows.
        offset: How far it has confirmed.
        idle: Seconds since it last confirmed something; None where the primary does not tell.
    """

    place: Place
    online: bool
    offset: int
    idle: int | None


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node of a cluster, as another one (or it itself) tells.

    Args:
        place: Where clients meet it.
        bus: The port on which the others do.
        hostname: What it announces besides; empty for nothing.
        primary: The id of the node that it follows; empty where it is a primary.
        linked: Whether who tells has a link to it.
        epoch: Of its configuration: of two claims to a slot the higher counts.
    """

    id: str
    place: Place
    bus: int
    hostname: str
    primary: str
    down: Down
    linked: bool
    slots: Slots
    epoch: int


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """A cluster, as one of its nodes tells.

    Args:
        me: The id of who tells.
        ok: Whether it would serve every slot.
        assigned: How many slots have an owner.
    """

    me: str
    ok: bool
    assigned: int
    nodes: tuple[ClusterNode, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """A server that a Sentinel watches, or a fellow of that Sentinel.

    Args:
        id: The server's run id, or a Sentinel's own id; empty where it was never reached.
    """

    place: Place
    id: str
    down: Down


@dataclass(frozen=True, slots=True)
class Watch:
    """A primary that a Sentinel watches, with all that belongs to it.

    Args:
        name: As the Sentinels call it.
        quorum: How many of them have to find the primary down.
        epoch: Of the configuration: it rises with each failover.
    """

    name: str
    primary: Watched
    quorum: int
    epoch: int
    replicas: tuple[Watched, ...] = ()
    sentinels: tuple[Watched, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one server says of itself and of those around it.

    Args:
        run_id: New with each start of its process.
        sentinel_id: A Sentinel's own id, which stays; empty for others and before 6.2.
        port: For plaintext; 0 for none, None for unknown.
        tls_port: The same for TLS.
        announced: As whom others meet it, where that is set by hand.
        histories: Ids of the history of its data: servers that share one were once one.
        offset: How far its history has come.
        replicates_over_tls: Whether links that it makes from now on are; None for unknown.
        bus_over_tls: The same of the cluster's bus.
        bus_born_over_tls: Whether the process was started with that, and so knows no other link.
        sentinels: From where Sentinels watch it; they do not tell their port. None for unknown.
    """

    role: Role
    run_id: str = ""
    sentinel_id: str = ""
    port: int | None = None
    tls_port: int | None = None
    announced: tuple[Place, ...] = ()
    histories: tuple[str, ...] = ()
    offset: int | None = None
    replicates_over_tls: bool | None = None
    bus_over_tls: bool | None = None
    bus_born_over_tls: bool = False
    following: Following | None = None
    followers: tuple[Follower, ...] = ()
    cluster: ClusterSeen | None = None
    watches: tuple[Watch, ...] = ()
    sentinels: tuple[Place, ...] | None = None


def seen_json(seen: Seen) -> dict[str, Any]:
    """Return what may be stored: it holds no secret."""
    return asdict(seen)


def seen_from_json(stored: Mapping[str, Any]) -> Seen | None:
    """Return what was stored; None where another release of the panel stored something else."""
    try:
        found: Seen = _builder(Seen)(stored)
    except (KeyError, TypeError, ValueError):
        return None
    return found


@cache
def _builder(kind: Any) -> Callable[[Any], Any]:
    """Return what makes a value of a type of this module from what JSON makes of it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {types.UnionType, Union}:
        build = _builder(inner[0])
        return lambda value: None if value is None else build(value)
    if origin is tuple:
        parts = [_builder(each) for each in inner if each is not Ellipsis]
        if inner[-1] is Ellipsis:
            return lambda value: tuple(map(parts[0], value))
        return lambda value: tuple(make(x) for make, x in zip(parts, value, strict=True))
    if kind is ClusterNode:
        return _cluster_node
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        made = [(each.name, _builder(hints[each.name])) for each in fields(kind)]
        return lambda value: kind(*[build(value[name]) for name, build in made])
    return kind if isinstance(kind, type) and issubclass(kind, StrEnum) else lambda value: value


def _cluster_node(told: Mapping[str, Any]) -> ClusterNode:
    place, slots = told["place"], tuple((first, last) for first, last in told["slots"])
    begin = (told["id"], place["address"], place["port"], told["bus"], told["hostname"])
    end = (told["primary"], told["down"], told["linked"], slots, told["epoch"])
    return _made_once(begin, end)


@lru_cache(maxsize=8192)
def _made_once(begin: tuple[Any, ...], end: tuple[Any, ...]) -> ClusterNode:
    """Return a node of a cluster: all accounts tell nearly the same of it, so they share it."""
    number, address, port, bus, hostname = begin
    primary, down, linked, slots, epoch = end
    place = Place(address, port)
    return ClusterNode(number, place, bus, hostname, primary, Down(down), linked, slots, epoch)
