"""What ends and needs somebody: of what `endings_tick` has warned, read by one query."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    BooleanField,
    CharField,
    Count,
    Exists,
    F,
    IntegerField,
    Min,
    OuterRef,
    Subquery,
    Value,
)
from django.db.models.functions import Cast

from addons.expiry import AUTHORITIES, CLIENTS, NODES, authorities_in_use, leaves_in_force
from addons.models import Certificate, EnvironmentAuthority, Installation
from instances.models import Environment

OVER = timedelta(days=30)
"""For how long after its end somebody is told of a client's certificate."""
_MOST = 40


@dataclass(frozen=True, slots=True)
class Ending:
    """Something of whose end was warned.

    Args:
        kind: ``nodes`` for the certificates of a group, ``clients`` or ``authorities`` for one.
        environment: The name of its environment, of one of them where there are several.
        name: Of the group, the holder or the authority.
        key: Of the certificate or authority; 0 for a group.
        days: Within how many days it ends; 0 once it has.
        ends: When; of a group the first of them.
        count: Of nodes.
        off: Whether nothing of the group is renewed by itself.
    """

    kind: str
    environment: str
    name: str
    key: int
    days: int
    ends: datetime
    count: int
    off: bool


def endings_in_need(now: datetime) -> list[Ending]:
    """Return what ends soon and is not renewed by itself, the nearest first.

    Nodes' certificates that end with their authority are left out: that speaks for them.
    """
    rows = _leaves().union(_clients(now), _authorities(), all=True).order_by("days", "ends")
    return [Ending(*row) for row in rows[:_MOST]]


_COLUMNS = ("kind", "environment", "name", "key", "days", "ends", "count", "off")


def _leaves() -> Any:
    off = Installation.objects.filter(
        group=OuterRef("node__group"), generation__gt=0, spec__renew="off"
    )
    found = leaves_in_force().filter(warned__isnull=False, not_after__lt=F("authority__not_after"))
    return (
        found.order_by()
        .annotate(off=Exists(off))
        .values(
            "off",
            kind=_text(NODES),
            environment=F("node__group__environment__name"),
            name=F("node__group__name"),
            key=_number(0),
        )
        .annotate(days=Min("warned"), ends=Min("not_after"), count=Count("node", distinct=True))
        .values_list(*_COLUMNS)
    )


def _clients(now: datetime) -> Any:
    found = Certificate.objects.filter(
        purpose="client",
        node=None,
        state=Certificate.State.ISSUED,
        warned__isnull=False,
        not_after__gt=now - OVER,
        authority__in=authorities_in_use().values("pk"),
    )
    return _single(found, CLIENTS, "holder", "authority")


def _authorities() -> Any:
    return _single(authorities_in_use().filter(warned__isnull=False), AUTHORITIES, "name", "pk")


def _single(found: Any, kind: str, name: str, authority: str) -> Any:
    """Return rows of one thing each."""
    living = EnvironmentAuthority.objects.filter(
        authority=OuterRef(authority), environment__in=Environment.objects.all()
    )
    first = living.order_by("environment__name").values("environment__name")[:1]
    return (
        found.order_by()
        .values(
            kind=_text(kind),
            environment=Subquery(first),
            called=F(name),
            key=F("pk"),
            days=F("warned"),
            ends=F("not_after"),
            count=_number(1),
            off=Value(value=False, output_field=BooleanField()),
        )
        .values_list(*("called" if column == "name" else column for column in _COLUMNS))
    )


def _text(value: str) -> Cast:
    # PostgreSQL wants to know the type of what it puts together.
    return Cast(Value(value), CharField())


def _number(value: int) -> Value:
    return Value(value, output_field=IntegerField())
