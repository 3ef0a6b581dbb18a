"""A topology: the values of the picture that `whole` puts together."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from instances.nodeconf.topology.encrypted import Encrypted
from instances.nodeconf.topology.seen import Down, Role, Slots
from instances.nodeconf.topology.strangers import Stranger


class Kind(StrEnum):
    """What the servers of a group are to each other."""

    UNKNOWN = "unknown"
    STANDALONE = "standalone"
    REPLICATION = "replication"
    SENTINEL = "Sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Link:
    """A replica's link to its primary.

    Args:
        primary: The member's key.
        up: None where nobody tells.
        behind: Bytes of the history that the replica had not confirmed; None for unknown.
        idle: Seconds since the two last spoke.
    """

    primary: str
    up: bool | None
    encrypted: Encrypted
    syncing: bool = False
    behind: int | None = None
    idle: int | None = None


@dataclass(frozen=True, slots=True)
class Watching:
    """A Sentinel's connection to a primary that it watches, by the Sentinels' name for it."""

    name: str
    encrypted: Encrypted


@dataclass(frozen=True, slots=True)
class Member:
    """A server that belongs to a topology.

    Args:
        key: Of this picture.
        node: The managed node's number; None where it is not managed here.
        place: Where it is met.
        down: Whether others find it down.
        silent: Why it does not answer the panel; empty where it does, or is not managed here.
        link: To its primary; None where it follows nobody.
        watching: Of a Sentinel that is managed here.
        slots: Of a cluster's node.
        bus: Its port for the cluster's bus; 0 for none.
    """

    key: str
    name: str
    node: int | None
    place: str
    role: Role
    down: Down = Down.NO
    silent: str = ""
    seen_at: datetime | None = None
    link: Link | None = None
    watching: tuple[Watching, ...] = ()
    slots: Slots = ()
    bus: int = 0


@dataclass(frozen=True, slots=True)
class Guard:
    """A primary that Sentinels watch.

    Args:
        primary: Its member's key.
        sentinels: Theirs.
    """

    name: str
    primary: str
    quorum: int
    sentinels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bus:
    """A cluster's bus.

    Args:
        cut: Pairs of members' keys, the first of which has no link to the second.
        serving: Whether every slot is served, by the latest account.
        assigned: How many slots have an owner.
    """

    encrypted: Encrypted
    cut: tuple[tuple[str, str], ...]
    serving: bool
    assigned: int


@dataclass(frozen=True, slots=True)
class Topology:
    """What the servers of a group are to each other.

    Args:
        strangers: Who is seen and not managed here.
        blind: Managed nodes that never told anything, by name.
        latest: When the latest of them told; None where none has.
        oldest: When the one who has told nothing since for longest did.
    """

    kind: Kind = Kind.UNKNOWN
    members: tuple[Member, ...] = ()
    guards: tuple[Guard, ...] = ()
    bus: Bus | None = None
    strangers: tuple[Stranger, ...] = ()
    blind: tuple[str, ...] = ()
    latest: datetime | None = None
    oldest: datetime | None = None

    def member(self, key: str) -> Member:
        """Return the member with a key."""
        return next(each for each in self.members if each.key == key)
