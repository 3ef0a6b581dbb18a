"""Reads of who spoke plaintext to a group or a node, and how well that is known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum

from addons.encryption.models import PlaintextClient
from addons.models import NodeInstallation
from instances.models import Node, NodeGroup

Place = NodeGroup | Node

SLUG = "encryption"
_AT_ONCE = 5000
"""Addresses in one query: SQLite takes no more than some ten thousand values."""
_OPEN = Q(node__plain_port__port__gt=0)
_THERE = Q(last_seen=F("node__plain_port__sampled_at"))


@dataclass(frozen=True, slots=True)
class Sampled:
    """How well it is known who speaks plaintext to the nodes of a group, or to one node.

    Args:
        nodes: With encryption on them: those are sampled.
        sampled: Of which there is a sample.
        sampled_at: When the latest one was taken, of the node where that is longest ago.
        open: Of which the latest one saw a plain port; all that follows is of these.
        since: From when on all of them have been sampled.
        samples: How many were taken of each since, at least.
        quiet_since: From when on nobody was met on any of them; None while somebody is there.
        quiet_samples: How many were taken of each since then, at least.
        interval: How often one is taken; None where only when somebody asks.
        forgotten: Addresses that were dropped because there were too many.
        nameless: Why names and users are not known of every node, or empty.
    """

    nodes: int
    sampled: int = 0
    sampled_at: datetime | None = None
    open: int = 0
    since: datetime | None = None
    samples: int = 0
    quiet_since: datetime | None = None
    quiet_samples: int = 0
    interval: timedelta | None = None
    forgotten: int = 0
    nameless: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """An address from which somebody spoke plaintext.

    Args:
        nodes: To which, by name.
        connections: At the latest sample of each node; 0 where it has gone since.
        age: Seconds that the longest-lived connection had lasted when it was met last; None where
            that is not known.
        sightings: Samples of one node, at most, in which it was met.
    """

    address: str
    names: Sequence[str]
    users: Sequence[str]
    libraries: Sequence[str]
    kinds: Sequence[str]
    nodes: Sequence[Node]
    connections: int
    age: int | None
    first_seen: datetime
    last_seen: datetime
    sightings: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Who spoke plaintext of late, and how well that is known.

    Args:
        days: How far back ``total`` and ``callers`` go.
        total: How many addresses there were.
        callers: The latest of them.
    """

    sampled: Sampled
    days: int
    total: int
    callers: Sequence[Caller]


def plaintext_evidence(place: Place, *, now: datetime, days: int = 7, most: int = 20) -> Evidence:
    """Return who spoke plaintext of late, in four queries.

    Args:
        place: To whom.
        now: The present time.
        days: How far back.
        most: How many of them are told by address.
    """
    since = now - timedelta(days=days)
    found = addresses_of(place, since).order_by("-last", "address")
    return Evidence(sampled_of(place), days, found.count(), callers_of(place, since, found[:most]))


def sampled_of(place: Place) -> Sampled:
    """Return how well it is known who speaks plaintext to a place, in one query."""
    told = _installed(place).aggregate(
        nodes=Count("pk"),
        sampled=Count("node__plain_port"),
        open=Count("pk", filter=_OPEN),
        since=Max("node__plain_port__since", filter=_OPEN),
        samples=Min("node__plain_port__samples", filter=_OPEN),
        sampled_at=Min("node__plain_port__sampled_at"),
        quiet=Count("node__plain_port__quiet_since", filter=_OPEN),
        quiet_since=Max("node__plain_port__quiet_since", filter=_OPEN),
        quiet_samples=Min("node__plain_port__quiet_samples", filter=_OPEN),
        forgotten=Sum("node__plain_port__forgotten"),
        nameless=Max("node__plain_port__nameless", filter=_OPEN),
    )
    everywhere = told.pop("quiet") == told["open"]
    known = {name: value for name, value in told.items() if value is not None}
    if not everywhere:
        known |= {"quiet_since": None, "quiet_samples": 0}
    return Sampled(**known, interval=settings.OBSERVE_INTERVAL or None)


def not_looked_at(place: Place, since: datetime) -> bool:
    """Say whether a node that is sampled has not been looked at since then."""
    late = Q(node__looked_at=None) | Q(node__looked_at__lt=since)
    return _installed(place).filter(late).exists()


def addresses_of(place: Place, since: datetime) -> QuerySet[Any, Any]:
    """Return the addresses from which somebody has spoken plaintext to a place since then.

    Each with ``first``, ``last``, ``met`` (samples of one node), ``oldest`` (seconds) and
    ``there``: how many connections it had at the latest sample, None where it had gone.
    """
    return (
        _seen(place, since)
        .values("address")
        .annotate(
            first=Min("first_seen"),
            last=Max("last_seen"),
            met=Max("sightings"),
            oldest=Max("age"),
            there=Sum("connections", filter=_THERE),
        )
    )


def callers_of(place: Place, since: datetime, found: Iterable[Mapping[str, Any]]) -> list[Caller]:
    """Return a page of `addresses_of` with names, users and nodes, in the order it has."""
    shown = list(found)
    rows = _seen(place, since).select_related("node").order_by("-last_seen", "node__name")
    by_address: dict[str, list[PlaintextClient]] = defaultdict(list)
    for first in range(0, len(shown), _AT_ONCE):
        some = [each["address"] for each in shown[first : first + _AT_ONCE]]
        for row in rows.filter(address__in=some):
            by_address[row.address].append(row)
    return [_caller(each, by_address[each["address"]]) for each in shown]


def _installed(place: Place) -> QuerySet[NodeInstallation]:
    rows = NodeInstallation.objects.filter(
        installation__addon=SLUG, installation__generation__gt=0, node__archived_at=None
    )
    if isinstance(place, Node):
        return rows.filter(node=place)
    return rows.filter(installation__group=place)


def _seen(place: Place, since: datetime) -> QuerySet[PlaintextClient]:
    rows = PlaintextClient.objects.filter(last_seen__gte=since)
    if isinstance(place, Node):
        return rows.filter(node=place)
    return rows.filter(node__in=Node.objects.filter(group=place))


def _caller(found: Mapping[str, Any], rows: Sequence[PlaintextClient]) -> Caller:
    return Caller(
        address=found["address"],
        names=_lines(row.names for row in rows),
        users=_lines(row.users for row in rows),
        libraries=_lines(row.libraries for row in rows),
        kinds=_lines(row.kinds for row in rows),
        nodes=sorted((row.node for row in rows), key=lambda node: node.name),
        connections=found["there"] or 0,
        age=found["oldest"],
        first_seen=found["first"],
        last_seen=found["last"],
        sightings=found["met"],
    )


def _lines(texts: Iterable[str]) -> list[str]:
    """Return what is in the lines, each once."""
    lines = (line for text in texts for line in text.split("\n") if line)
    return list(dict.fromkeys(lines))
