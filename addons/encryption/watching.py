"""What a Sentinel says of the servers that it watches, and of its fellows."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from addons.encryption.fellows import fellows_of
from addons.session import NodeSession
from instances.nodeconf.facts import ServerFacts
from instances.reason import Reason
from instances.remote.errors import RemoteError, ServerRefused

HELD_MS = 600_000
"""While failover is held, a Sentinel takes who is silent for down after so long only."""
WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.2
_AWAY = frozenset({"disconnected", "s_down", "o_down"})


@dataclass(frozen=True, slots=True)
class Watch:
    """A primary that a Sentinel watches.

    Args:
        name: As the Sentinels call it.
        down_after: Milliseconds of silence after which it counts as down.
        servers: The addresses of the primary and its replicas.
        fellows: Those of the other Sentinels.
        known: How many replicas and how many fellows the Sentinel knows.
        away: The addresses of those that the Sentinel does not reach now.
        quorum: Why no failover could be agreed on; empty where one could.
    """

    name: str
    down_after: int
    servers: tuple[str, ...]
    fellows: tuple[str, ...]
    known: tuple[int, int]
    away: tuple[str, ...]
    quorum: str


def watches(node: NodeSession) -> list[Watch]:
    """Ask a Sentinel what it watches.

    Raises:
        RemoteError: It does not answer, or refuses.
    """
    primaries = sentinel_rows(node.redis().execute("SENTINEL", "MASTERS"))
    return [_watch(node, primary) for primary in primaries]


def _watch(node: NodeSession, primary: Mapping[str, str]) -> Watch:
    name = primary["name"]
    asked = [("SENTINEL", word, name) for word in ("REPLICAS", "SENTINELS", "CKQUORUM")]
    replicas, fellows, quorum = node.redis().pipeline(asked)
    servers = [primary, *sentinel_rows(replicas)]
    others = sentinel_rows(fellows)
    away = [each for each in (*servers, *others) if _AWAY.intersection(each["flags"].split(","))]
    return Watch(
        name=name,
        down_after=int(primary["down-after-milliseconds"]),
        servers=tuple(each["ip"] for each in servers),
        fellows=tuple(each["ip"] for each in others),
        known=(len(servers) - 1, len(others)),
        away=tuple(each["ip"] for each in away),
        quorum=quorum.message if isinstance(quorum, ServerRefused) else "",
    )


def sentinel_rows(answer: Any) -> list[dict[str, str]]:
    """Return a Sentinel's list of servers as mappings; raises ServerRefused where it has none."""
    if isinstance(answer, ServerRefused):
        raise answer
    return [dict(zip(row[::2], row[1::2], strict=True)) for row in answer]


def watch_problems(node: NodeSession, watch: Watch) -> Iterator[Reason]:
    """Yield why what a Sentinel watches must not be moved now.

    Args:
        node: The Sentinel.
        watch: A primary that it watches.
    """
    fellows = fellows_of(node)
    outside = [each for each in watch.servers if each not in fellows.servers]
    outside += [each for each in watch.fellows if each not in fellows.sentinels]
    if outside:
        yield Reason(
            "OutsideGroup",
            f"{node.name}: of {watch.name} it knows {', '.join(outside)}, which the group does "
            "not have, and which would be cut off.",
            "Add them to the group, or that address to its node's addresses; what is gone for "
            f"good the Sentinels forget by SENTINEL RESET {watch.name}.",
        )
    elif watch.away or watch.quorum:
        why = watch.quorum or f"it does not reach {', '.join(watch.away)}"
        yield Reason(
            "NotHealthy",
            f"{node.name}: {watch.name} is not whole: {why}.",
            "Bring everybody up first.",
        )
    if watch.down_after >= HELD_MS:
        yield Reason(
            "FailoverHeld",
            f"{node.name}: failover of {watch.name} is as good as off already: its "
            f"down-after-milliseconds is {watch.down_after}.",
            "A run that could not end leaves it so. Set what it was on each Sentinel: "
            f"SENTINEL SET {watch.name} down-after-milliseconds 30000.",
        )


def known_on_file(server: ServerFacts) -> dict[str, tuple[int, int]]:
    """Return how many replicas and fellows a Sentinel's file names, by the primary's name."""
    lines = [words for words in server.tree.all("sentinel") if len(words) > 1]
    names = [words[1] for words in lines if words[0] == "monitor"]
    return {
        name: (
            _count(lines, name, ("known-replica", "known-slave")),
            _count(lines, name, ("known-sentinel",)),
        )
        for name in names
    }


def _count(lines: Sequence[Sequence[str]], name: str, kinds: Sequence[str]) -> int:
    return sum(words[0] in kinds and words[1] == name for words in lines)


def wait_until_whole(node: NodeSession, known: Mapping[str, Sequence[int]] | None = None) -> str:
    """Wait until a Sentinel reaches all that it knows, and return what is missing; mostly nothing.

    Args:
        known: How many replicas and fellows it is to know, by the primary's name; then it need not
            reach them yet.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while missing := _missing(node, known):
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return missing


def _missing(node: NodeSession, known: Mapping[str, Sequence[int]] | None) -> str:
    try:
        found = watches(node)
    except RemoteError as error:
        node.forget_server()
        return str(error)
    reasons = _reached(found) if known is None else _remembered(found, known)
    return next(reasons, "")


def _reached(found: Sequence[Watch]) -> Iterator[str]:
    for watch in found:
        if watch.away:
            yield f"it does not reach {', '.join(watch.away)} of {watch.name}"
        if watch.quorum:
            yield watch.quorum


def _remembered(found: Sequence[Watch], known: Mapping[str, Sequence[int]]) -> Iterator[str]:
    now = {watch.name: watch.known for watch in found}
    for name, wanted in known.items():
        if now.get(name, (0, 0)) != tuple(wanted):
            replicas, fellows = now.get(name, (0, 0))
            yield (
                f"of {name} it knows {replicas} replicas and {fellows} other Sentinels, "
                f"not {wanted[0]} and {wanted[1]}"
            )
    yield from (watch.quorum for watch in found if watch.quorum)
