"""What ends over the next year, as a timeline, and how near an end is."""

from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from addons.expiry import (
    AUTHORITIES,
    CLIENTS,
    FAR,
    NEAR,
    NODES,
    Ending,
    endings,
    near,
)
from panel.pages.state import BAD, OK, UNKNOWN, WAIT, Shown

YEAR = 365
WEEKS = 53
HEIGHT = 72
"""Pixels of the highest bar."""
_LEAST = 3
_KINDS = (BAD, BAD, WAIT, WAIT, OK)
_WORDS = ("Expired", *(f"Within {days} days" for days in NEAR[1:]), "In force")


@dataclass(frozen=True, slots=True)
class Bar:
    """A week of the timeline, as an SVG rectangle: across in percent, down in pixels."""

    x: float
    y: int
    height: int
    kind: str
    says: str


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the timeline.

    Args:
        value: As an address has it: ``2027-03``.
        x: Where it begins, in percent.
        leaves: How many certificates of nodes end in it.
        clients: How many of clients.
    """

    value: str
    first: date
    x: float
    leaves: int
    clients: int
    authorities: int


@dataclass(frozen=True, slots=True)
class Near:
    """How many end soon.

    Args:
        value: As an address has it.
        count: All of nodes that end within that time; what has expired is a sort of its own.
        more: How many of them do not end within the next shorter time.
        clients: As `count`, of clients; what has expired is not in force any more.
        more_clients: As `more`.
    """

    value: str
    word: str
    kind: str
    count: int
    more: int
    clients: int
    more_clients: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """What ends over the next year.

    Args:
        near: What has expired or ends within a month, the nearest first.
        marks: Where authorities end, in percent.
        most: What the highest bar counts.
        total: Certificates of nodes that end within the year, expired ones included.
        clients: Certificates of clients that end within it.
    """

    near: Sequence[Near]
    bars: Sequence[Bar]
    marks: Sequence[float]
    months: Sequence[Month]
    most: int
    total: int
    clients: int
    height: int = field(default=HEIGHT)

    @property
    def calm(self) -> bool:
        """Whether nothing ends within a month."""
        return not any(each.more or each.more_clients for each in self.near)


def timeline(now: datetime) -> Timeline:
    """Count what ends by week and month: one query, however large the fleet is."""
    today = now.astimezone(UTC).date()
    months = _months(today)
    last = months[-1]
    end = last.replace(day=monthrange(last.year, last.month)[1]) + timedelta(days=1)
    until = datetime(end.year, end.month, end.day, tzinfo=UTC)
    found = endings(now=now, until=until)
    nodes, clients, authorities = (
        [each for each in found if each.kind == kind] for kind in (NODES, CLIENTS, AUTHORITIES)
    )
    weeks = _weeks([*nodes, *clients], today)
    most = max((sum(week.values()) for week in weeks), default=0)
    return Timeline(
        near=[_near(at, nodes, clients) for at in range(FAR)],
        bars=[bar for at, week in enumerate(weeks) for bar in _bar(at, week, most, today)],
        marks=sorted({_x(each.day, today) for each in authorities if each.day >= today}),
        months=_months_with(months, today, *map(_by_month, (nodes, clients, authorities))),
        most=most,
        total=sum(each.count for each in nodes),
        clients=sum(each.count for each in clients),
    )


def month_choices(now: datetime) -> list[tuple[str, str]]:
    """Return the months of the timeline as choices of a filter."""
    months = _months(now.astimezone(UTC).date())
    return [(f"{first:%Y-%m}", f"{first:%B %Y}") for first in months]


def _months(today: date) -> list[date]:
    """Return the first days of the months from today's to the one in a year."""
    numbers = range(today.year * 12 + today.month - 1, today.year * 12 + today.month + 12)
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]


def _near(at: int, nodes: Sequence[Ending], clients: Sequence[Ending]) -> Near:
    value = str(NEAR[at]) if at else "expired"
    return Near(value, _WORDS[at], _KINDS[at], *_counted(at, nodes), *_counted(at, clients))


def _counted(at: int, found: Sequence[Ending]) -> tuple[int, int]:
    """Count what ends within a time, and what of it not within the next shorter one."""
    more = sum(each.count for each in found if each.near == at)
    return sum(each.count for each in found if min(at, 1) <= each.near <= at), more


def _weeks(found: Iterable[Ending], today: date) -> list[dict[int, int]]:
    """Count by week, and in it by how near; the first week is what ends within seven days."""
    weeks: list[dict[int, int]] = [{} for _ in range(WEEKS)]
    for each in found:
        at = (each.day - today).days // 7
        if 0 <= at < WEEKS and each.near:
            weeks[at][each.near] = weeks[at].get(each.near, 0) + each.count
    return weeks


def _bar(at: int, week: Mapping[int, int], most: int, today: date) -> list[Bar]:
    count = sum(week.values())
    if not count:
        return []
    height = max(_LEAST, round(HEIGHT * count / most))
    first = today + timedelta(days=7 * at)
    noun = "certificate" if count == 1 else "certificates"
    says = f"{count} {noun} in the week from {first:%d %B %Y}"
    kind = _KINDS[min(week)] if min(week) < FAR else UNKNOWN
    return [Bar(_x(first, today), HEIGHT - height, height, kind, says)]


def _x(day: date, today: date) -> float:
    return round(100 * (day - today).days / (WEEKS * 7), 2)


def _by_month(found: Iterable[Ending]) -> Counter[date]:
    counts: Counter[date] = Counter()
    for each in found:
        counts[each.day.replace(day=1)] += each.count
    return counts


def _months_with(months: Iterable[date], today: date, *counted: Counter[date]) -> list[Month]:
    return [
        Month(
            f"{first:%Y-%m}",
            first,
            max(0.0, _x(first, today)),
            *(counts[first] for counts in counted),
        )
        for first in months
    ]


def ending_shown(not_after: datetime, now: datetime) -> Shown:
    """Return how near the end of something is, as a state."""
    at = near(not_after, now)
    return Shown(_KINDS[at], _WORDS[at], at=not_after)
