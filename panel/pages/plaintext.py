"""Who still speaks plaintext: how that is put into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from addons.encryption.plaintext_seen import (
    Caller,
    Sampled,
    addresses_of,
    callers_of,
    sampled_of,
)
from addons.encryption.remembering import KEPT
from addons.health import counts_since
from instances.models import Node, NodeGroup
from instances.selectors import servers_at
from panel.pages.state import OK, UNKNOWN, WAIT, Shown

LATELY = timedelta(days=1)
NAMES, LINES = 3, 6
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))
_DOES = {"pubsub": "subscribes", "replica": "replicates", "monitor": "monitors"}


@dataclass(frozen=True, slots=True)
class PlaintextPage:
    """How well it is known who speaks plaintext to a group.

    Args:
        shown: Whether anybody does, in a few words.
        often: How often a sample is taken, in words; empty where only when somebody asks.
    """

    sampled: Sampled
    shown: Shown
    often: str


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


@dataclass(frozen=True, slots=True)
class NodePlaintext:
    """Who speaks plaintext to one node.

    Args:
        lines: The latest addresses, few enough for a page of something else.
        more: Whether there are more of them.
    """

    shown: Shown
    lines: Sequence[CallerLine]
    more: bool


def plaintext_page(group: NodeGroup, now: datetime) -> PlaintextPage:
    """Collect the head of a group's list."""
    sampled = sampled_of(group)
    lately = addresses_of(group, now - LATELY).count()
    return PlaintextPage(
        sampled=sampled,
        shown=sampled_shown(sampled, lately, now),
        often=span(sampled.interval) if sampled.interval else "",
    )


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


def node_plaintext(node: Node, now: datetime) -> NodePlaintext | None:
    """Return who speaks plaintext to a node; None where nobody looks at its plain port."""
    sampled = sampled_of(node)
    if not sampled.nodes:
        return None
    since = now - KEPT
    found = list(addresses_of(node, since).order_by("-last", "address")[: LINES + 1])
    lately = addresses_of(node, now - LATELY).count()
    return NodePlaintext(
        shown=sampled_shown(sampled, lately, now),
        lines=plaintext_lines(callers_of(node, since, found[:LINES])),
        more=len(found) > LINES,
    )


def plaintext_shown(group: NodeGroup, now: datetime) -> Shown:
    """Return in a few words whether anybody still speaks plaintext to a group, in two queries."""
    lately = addresses_of(group, now - LATELY).count()
    return sampled_shown(sampled_of(group), lately, now)


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
        return Shown(WAIT, f"{lately} {noun} used the plain port in the last 24 hours", "", at)
    if sampled.sampled < sampled.nodes or not sampled.nodes:
        left = sampled.nodes - sampled.sampled
        why = f"{left} of {sampled.nodes} nodes not sampled yet." if sampled.nodes else ""
        return Shown(UNKNOWN, "Plain port not sampled yet", why, at)
    if at is not None and at <= counts_since(now):
        return Shown(UNKNOWN, f"Plain port not sampled for {span(now - at)}", "", at)
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


_COLUMNS = (
    *("address", "names", "users", "libraries", "does", "nodes", "connections"),
    *("longest_seconds", "samples", "first_seen", "last_seen"),
)
_FORMULA = ("=", "+", "-", "@")


def csv_lines(callers: Sequence[Caller]) -> list[list[str]]:
    """Return the table for programs, its headings first."""
    return [list(_COLUMNS), *map(_csv_line, callers)]


def _csv_line(caller: Caller) -> list[str]:
    told = (
        *(caller.address, " ".join(caller.names), " ".join(caller.users)),
        *(", ".join(caller.libraries), " ".join(caller.kinds)),
        " ".join(node.name for node in caller.nodes),
        *(str(caller.connections), "" if caller.age is None else str(caller.age)),
        *(str(caller.sightings), caller.first_seen.isoformat(), caller.last_seen.isoformat()),
    )
    # What a client calls itself is nothing that a spreadsheet should calculate.
    return [f"'{text}" if text.startswith(_FORMULA) else text for text in told]
