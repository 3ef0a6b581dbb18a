"""Who still speaks plaintext: how that is put into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from addons.encryption.plaintext_seen import Caller, Sampled, addresses_of, group_sampled
from instances.models import Node, NodeGroup
from instances.selectors import servers_at
from panel.pages.state import OK, UNKNOWN, WAIT, Shown

LATELY = timedelta(days=1)
NAMES = 3
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))
_DOES = {"pubsub": "subscribes", "replica": "replicates", "monitor": "monitors"}


@dataclass(frozen=True, slots=True)
class CallerLine:
    """An address, as a line shows it.

    Args:
        server: The node of the panel that is there; None where there is none.
        local: Whether it is the machine that the server itself is on.
        lasted: How long its longest connection had been there; empty where that is not known.
        does: What it does besides asking, in a word each.
    """

    caller: Caller
    server: Node | None
    local: bool
    lasted: str
    does: Sequence[str]
    names: Sequence[str]
    more_names: int
    nodes: Sequence[Node]
    more_nodes: int


def plaintext_lines(callers: Sequence[Caller]) -> list[CallerLine]:
    """Return lines; the nodes of the panel are told by name, in one query."""
    there: Mapping[str, Node] = {
        node.machine.address: node for node in servers_at([each.address for each in callers])
    }
    return [_line(each, there.get(each.address)) for each in callers]


def _line(caller: Caller, server: Node | None) -> CallerLine:
    return CallerLine(
        caller=caller,
        server=server,
        local=caller.address in {"127.0.0.1", "::1"},
        lasted="" if caller.age is None else span(timedelta(seconds=caller.age)),
        does=[_DOES[kind] for kind in caller.kinds if kind in _DOES],
        names=caller.names[:NAMES],
        more_names=len(caller.names[NAMES:]),
        nodes=caller.nodes[:NAMES],
        more_nodes=len(caller.nodes[NAMES:]),
    )


def plaintext_shown(group: NodeGroup, now: datetime) -> Shown:
    """Return in a few words whether anybody still speaks plaintext to a group, in two queries."""
    lately = addresses_of(group, now - LATELY).count()
    return sampled_shown(group_sampled(group), lately, now)


def sampled_shown(sampled: Sampled, lately: int, now: datetime) -> Shown:
    """Return the same of what is known already.

    Args:
        sampled: How well it is known.
        lately: How many addresses there were within `LATELY`.
        now: The present time.
    """
    at = sampled.sampled_at
    if lately:
        noun = "client" if lately == 1 else "clients"
        return Shown(WAIT, f"{lately} {noun} on the plain port within a day", "", at)
    if sampled.sampled < sampled.nodes or not sampled.nodes:
        left = sampled.nodes - sampled.sampled
        why = f"{left} of {sampled.nodes} nodes not sampled yet." if sampled.nodes else ""
        return Shown(UNKNOWN, "Plain port not sampled yet", why, at)
    if not sampled.open:
        return Shown(OK, "Plain port closed")
    if sampled.quiet_since is None or sampled.quiet_samples < 2:
        return Shown(OK, "Nobody on the plain port at the latest look", "", at)
    quiet = span(now - sampled.quiet_since)
    return Shown(OK, f"Nobody seen on the plain port for {quiet}", "", at)


def span(passed: timedelta) -> str:
    """Return a duration in its largest unit, in words."""
    seconds = int(passed.total_seconds())
    for length, unit in _UNITS:
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"
