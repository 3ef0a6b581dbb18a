"""Servers that belong to what is managed here, and are not managed here themselves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.known import Known, Register, plain_host
from instances.nodeconf.topology.seen import Down, Seen, Watch


class As(StrEnum):
    """As what a stranger was met."""

    NODE = "node of the cluster"
    PRIMARY = "primary"
    REPLICA = "replica"
    SENTINEL = "Sentinel"


@dataclass(frozen=True, slots=True)
class Stranger:
    """A server that is seen and not managed here.

    Args:
        place: Where it was met; port 0 where nobody tells it, as of a Sentinel that watches.
        down: Whether who tells finds it down.
        number: The id that its cluster knows it by; empty for others.
    """

    place: Place
    met_as: As
    down: Down = Down.NO
    number: str = ""

    def __str__(self) -> str:
        return str(self.place) if self.place.port else self.place.address


def mentioned(seen: Seen, register: Register, teller: Known | None) -> Iterator[Stranger]:
    """Yield the servers that one server speaks of and that are not managed here, some twice.

    They are the nodes of its cluster, the primary that it follows, the replicas that follow it, the
    Sentinels that watch it, and all that belongs to what a Sentinel watches.

    Args:
        seen: What the server said.
        teller: The server itself among those managed; its loopback is its own machine.
    """
    for number, each in _others(seen, register, teller):
        if each.place.address and register.find(each.place, teller, number) is None:
            yield each


def without_doubles(found: Iterable[Stranger]) -> list[Stranger]:
    """Leave out what is there twice: a Sentinel met by its address alone is the one with a port."""
    each_once = list(dict.fromkeys(found))
    placed = {
        plain_host(each.place.address)
        for each in each_once
        if each.met_as is As.SENTINEL and each.place.port
    }
    return [
        each
        for each in each_once
        if each.place.port or plain_host(each.place.address) not in placed
    ]


def _others(seen: Seen, register: Register, teller: Known | None) -> Iterator[tuple[str, Stranger]]:
    """Yield everybody else that a server speaks of, with the id that it tells."""
    if seen.cluster is not None:
        for node in seen.cluster.nodes:
            if node.id != seen.cluster.me:
                yield node.id, Stranger(node.place, As.NODE, node.down, node.id)
    else:
        if seen.following is not None:
            yield "", Stranger(seen.following.primary, As.PRIMARY)
        for follower in seen.followers:
            yield "", Stranger(follower.place, As.REPLICA)
    for place in seen.sentinels or ():
        yield "", Stranger(place, As.SENTINEL)
    for watch in seen.watches:
        if register.concerns(watch, teller):
            yield from _of_watch(watch)


def _of_watch(watch: Watch) -> Iterator[tuple[str, Stranger]]:
    yield watch.primary.id, Stranger(watch.primary.place, As.PRIMARY, watch.primary.down)
    for each in watch.replicas:
        # A replica's former places stay with the Sentinels until SENTINEL RESET: nobody answers
        # there, and nobody ever has.
        if each.id:
            yield each.id, Stranger(each.place, As.REPLICA, each.down)
    for each in watch.sentinels:
        yield each.id, Stranger(each.place, As.SENTINEL, each.down)
