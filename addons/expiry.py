"""When what is in force ends: certificates of nodes and clients, authorities of environments."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import (
    Case,
    Count,
    IntegerField,
    Prefetch,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, Left

from addons.models import Authority, Certificate, EnvironmentAuthority, NodeInstallation
from instances.models import Environment, Node

NODES, CLIENTS, AUTHORITIES = "nodes", "clients", "authorities"
NEAR = (0, 7, 14, 30)
"""Days ahead that are told apart: expired, and within a week, a fortnight, a month."""
FAR = len(NEAR)


@dataclass(frozen=True, slots=True)
class Ending:
    """How many end on one day.

    Args:
        kind: ``nodes``, ``clients`` or ``authorities``: whose they are, or what.
        day: In UTC.
        near: The place in `NEAR` of the time within which they end, or `FAR`.
    """

    kind: str
    day: date
    near: int
    count: int


def leaves_in_force() -> QuerySet[Certificate]:
    """Return the certificates that serve, those of archived nodes left out."""
    # Not a join: what is archived is little, and this counts ten thousand nodes.
    archived = Node.recorded.filter(archived_at__isnull=False)
    return Certificate.objects.filter(state=Certificate.State.SERVING, node__isnull=False).exclude(
        node__in=archived.values("pk")
    )


def clients_in_force(now: datetime) -> QuerySet[Certificate]:
    """Return what clients hold, until it ends; what another one has taken the place of left out."""
    issued = Certificate.objects.filter(purpose="client", node=None, not_after__gt=now)
    return issued.filter(
        state=Certificate.State.ISSUED, authority__in=authorities_in_use().values("pk")
    )


def authorities_in_use() -> QuerySet[Authority]:
    """Return the authorities that an environment issues from or trusts."""
    links = EnvironmentAuthority.objects.filter(environment__in=Environment.objects.all())
    return Authority.objects.filter(pk__in=links.values("authority"))


def endings(*, now: datetime, until: datetime) -> list[Ending]:
    """Count what ends before a moment by day, and by how near that is; what has ended as well.

    One query, whatever there is: a row for each day.
    """
    parts = [
        part
        for kind, found in (
            (NODES, leaves_in_force()),
            (CLIENTS, clients_in_force(now)),
            (AUTHORITIES, authorities_in_use()),
        )
        for part in (_near_by_day(found, now, kind), _far_by_day(found, now, until, kind))
    ]
    rows = parts[0].union(*parts[1:], all=True)
    return [Ending(kind, date.fromisoformat(day), near, count) for kind, day, near, count in rows]


_Found = QuerySet[Certificate] | QuerySet[Authority]


def _near_by_day(found: _Found, now: datetime, kind: str) -> QuerySet[Any, Any]:
    ends = list(_ends(now))
    return _by_day(
        found.filter(not_after__lte=ends[-1]),
        Case(
            *(When(not_after__lte=end, then=Value(at)) for at, end in enumerate(ends)),
            output_field=IntegerField(),
        ),
        kind,
    )


def _far_by_day(found: _Found, now: datetime, until: datetime, kind: str) -> QuerySet[Any, Any]:
    """Most are far, and nothing more is asked of each of them."""
    later = found.filter(not_after__gt=list(_ends(now))[-1], not_after__lt=until)
    return _by_day(later, Value(FAR), kind)


def _by_day(found: _Found, near: Case | Value, kind: str) -> QuerySet[Any, Any]:
    # As text: cutting it is quicker than what the databases do to dates.
    days = found.order_by().annotate(
        kind=Value(kind), day=Left(Cast("not_after", TextField()), 10), near=near
    )
    return days.values_list("kind", "day", "near").annotate(Count("pk"))


def near(not_after: datetime, now: datetime) -> int:
    """Return the place in `NEAR` of the time within which something ends, or `FAR`."""
    return next((at for at, end in enumerate(_ends(now)) if not_after <= end), FAR)


def ending_within(at: int, now: datetime) -> Q:
    """Return the condition of what ends within `NEAR` days; what has ended is only in the first."""
    ends = _ends(now)
    return Q(not_after__lte=ends[at]) & (Q(not_after__gt=ends[0]) if at else Q())


def _ends(now: datetime) -> list[datetime]:
    return [now + timedelta(days=days) for days in NEAR]


def leaves_listed() -> QuerySet[Certificate]:
    """Return what is in force for a list: with its authority, and its node and where that is."""
    return (
        leaves_in_force()
        .select_related("authority", "node__group__environment")
        .defer(
            "authority__certificate",
            "authority__private_key",
            "node__facts",
            "node__fault",
            "node__server_password",
        )
    )


def authorities_listed() -> QuerySet[Authority]:
    """Return the authorities in use with their environments, without keys."""
    links = EnvironmentAuthority.objects.filter(environment__in=Environment.objects.all())
    return (
        authorities_in_use()
        .defer("private_key")
        .prefetch_related(
            Prefetch("environment_links", links.select_related("environment"), to_attr="links")
        )
    )


def leaves_by_authority(authorities: Iterable[Authority]) -> dict[int, int]:
    """Count the certificates in force by the authority that issued them."""
    issued = leaves_in_force().filter(authority__in=list(authorities)).order_by()
    return dict(issued.values_list("authority").annotate(Count("pk")))


def seen_on(nodes: Iterable[int]) -> dict[int, NodeInstallation]:
    """Return what was last seen of encryption on nodes, by their keys."""
    rows = NodeInstallation.objects.filter(
        installation__addon="encryption", installation__generation__gt=0, node__in=list(nodes)
    )
    return {row.node_id: row for row in rows.only("node_id", "observed", "observed_at")}
