"""Reads of who spoke plaintext: how well that is known of a group, and from where they came."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum

from addons.encryption.models import PlainPort, PlaintextClient
from addons.models import NodeInstallation
from instances.models import Node, NodeGroup

SLUG = "encryption"
_OPEN = Q(node__plain_port__port__gt=0)
_THERE = Q(last_seen=F("node__plain_port__sampled_at"))


@dataclass(frozen=True, slots=True)
class Sampled:
    """How well it is known who speaks plaintext to the nodes of a group.

    Args:
        nodes: With encryption on them: those are sampled.
        sampled: Of which there is a sample.
        open: Of which the latest one saw a plain port; all that follows is of these.
        since: From when on all of them have been sampled.
        samples: How many were taken of each since, at least.
        sampled_at: When the latest one was taken, of the node where that is longest ago.
        quiet_since: From when on nobody was met on any of them; None while somebody is there.
        quiet_samples: How many were taken of each since then, at least.
        interval: How often one is taken; None where only when somebody asks.
        forgotten: Addresses that were dropped because there were too many.
        nameless: Why names and users are not known of every node, or empty.
    """

    nodes: int
    sampled: int = 0
    open: int = 0
    since: datetime | None = None
    samples: int = 0
    sampled_at: datetime | None = None
    quiet_since: datetime | None = None
    quiet_samples: int = 0
    interval: timedelta | None = None
    forgotten: int = 0
    nameless: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """An address from which somebody spoke plaintext to nodes of a group.

    Args:
        nodes: To which, by name.
        connections: At the latest sample of each node; 0 where it has gone since.
        age: Seconds that the longest-lived connection had lasted when it was met last; None where
            that is not known.
        sightings: Samples in which it was met.
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
    """Who spoke plaintext to a group of late, and how well that is known.

    Args:
        days: How far back ``total`` and ``callers`` go.
        total: How many addresses there were.
        callers: The latest of them.
    """

    sampled: Sampled
    days: int
    total: int
    callers: Sequence[Caller]


def plaintext_evidence(
    group: NodeGroup, *, now: datetime, days: int = 7, most: int = 20
) -> Evidence:
    """Return who spoke plaintext to a group of late, in four queries.

    Args:
        group: The group.
        now: The present time.
        days: How far back.
        most: How many of them are told by address.
    """
    since = now - timedelta(days=days)
    found = addresses_of(group, since).order_by("-last", "address")
    return Evidence(
        group_sampled(group), days, found.count(), callers_of(group, since, found[:most])
    )


def group_sampled(group: NodeGroup) -> Sampled:
    """Return how well it is known who speaks plaintext to a group, in one query."""
    told = _installed(group).aggregate(
        nodes=Count("pk"),
        sampled=Count("node__plain_port"),
        open=Count("pk", filter=_OPEN),
        since=Max("node__plain_port__since", filter=_OPEN),
        samples=Min("node__plain_port__samples", filter=_OPEN),
        sampled_at=Min("node__plain_port__sampled_at", filter=_OPEN),
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


def node_sampled(node: Node) -> PlainPort | None:
    """Return what the samples of a node's plain port came to; None where there is none."""
    return PlainPort.objects.filter(node=node).first()


def addresses_of(group: NodeGroup, since: datetime) -> QuerySet[Any, Any]:
    """Return the addresses from which somebody has spoken plaintext to a group since then.

    Each with ``first``, ``last``, ``met`` (samples), ``oldest`` (seconds) and ``there``: how many
    connections it had at the latest sample, None where it had gone.
    """
    return (
        _seen(group, since)
        .values("address")
        .annotate(
            first=Min("first_seen"),
            last=Max("last_seen"),
            met=Sum("sightings"),
            oldest=Max("age"),
            there=Sum("connections", filter=_THERE),
        )
    )


def callers_of(
    group: NodeGroup, since: datetime, found: Iterable[Mapping[str, Any]]
) -> list[Caller]:
    """Return a page of `addresses_of` with names, users and nodes, in the order it has."""
    shown = list(found)
    rows = _seen(group, since).filter(address__in=[each["address"] for each in shown])
    by_address: dict[str, list[PlaintextClient]] = defaultdict(list)
    for row in rows.select_related("node").order_by("-last_seen", "node__name"):
        by_address[row.address].append(row)
    return [_caller(each, by_address[each["address"]]) for each in shown]


def _installed(group: NodeGroup) -> QuerySet[NodeInstallation]:
    return NodeInstallation.objects.filter(
        installation__group=group,
        installation__addon=SLUG,
        installation__generation__gt=0,
        node__archived_at=None,
    )


def _seen(group: NodeGroup, since: datetime) -> QuerySet[PlaintextClient]:
    return PlaintextClient.objects.filter(node__in=Node.objects.filter(group=group)).filter(
        last_seen__gte=since
    )


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
