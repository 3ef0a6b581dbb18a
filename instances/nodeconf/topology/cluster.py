"""Reading CLUSTER NODES and CLUSTER INFO."""

from collections.abc import Iterator

from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.seen import ClusterNode, ClusterSeen, Down, Slots

SLOTS = 16384
_NOBODY = "-"
_FAILED = {"fail": Down.YES, "fail?": Down.SUSPECTED, "handshake": Down.SUSPECTED}


def cluster_seen(nodes: str, info: str) -> ClusterSeen | None:
    """Return the cluster as one of its nodes tells it; None where it told nothing.

    Args:
        nodes: CLUSTER NODES, a line for each node (https://redis.io/docs/commands/cluster-nodes).
        info: CLUSTER INFO.
    """
    lines = [line.split(" ") for line in nodes.splitlines() if line.strip()]
    read = [(words, _node(words)) for words in lines if len(words) >= 8]
    me = next((node.id for words, node in read if "myself" in words[2].split(",")), "")
    if not me:
        return None
    told = dict(line.partition(":")[::2] for line in info.splitlines())
    found = tuple(node for _, node in read)
    return ClusterSeen(
        me=me,
        ok=told.get("cluster_state", "").strip() == "ok",
        assigned=sum(slot_count(node.slots) for node in found),
        nodes=found,
    )


def _node(words: list[str]) -> ClusterNode:
    number, address, flags, primary, _, _, epoch, link, *slots = words
    place, bus, hostname = _address(address)
    said = flags.split(",")
    down = next((_FAILED[flag] for flag in said if flag in _FAILED), Down.NO)
    return ClusterNode(
        id=number,
        place=place,
        bus=bus,
        hostname=hostname,
        primary="" if primary == _NOBODY else primary,
        down=Down.YES if "noaddr" in said else down,
        linked=link == "connected",
        slots=tuple(_ranges(slots)),
        epoch=int(epoch) if epoch.isdecimal() else 0,
    )


def _address(text: str) -> tuple[Place, int, str]:
    """Read ``10.0.0.1:6379@16379,name,shard-id=...``: names come with 7.0, the rest with 7.2."""
    where, *more = text.split(",")
    client, _, bus = where.partition("@")
    host, _, port = client.rpartition(":")
    hostname = more[0] if more and "=" not in more[0] else ""
    place = Place(host.strip("[]"), int(port) if port.isdecimal() else 0)
    return place, int(bus) if bus.isdecimal() else 0, hostname


def _ranges(words: list[str]) -> Iterator[tuple[int, int]]:
    """Read ``0-5460 6000``; a slot that migrates, ``[93-<-ID]``, is nobody else's yet."""
    for word in words:
        first, _, last = word.partition("-")
        if first.isdecimal():
            yield int(first), int(last) if last.isdecimal() else int(first)


def slot_count(slots: Slots) -> int:
    """Return how many slots the ranges are."""
    return sum(last - first + 1 for first, last in slots)
