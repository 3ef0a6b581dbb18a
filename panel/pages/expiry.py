"""What ends over the next year, as a timeline, and each certificate with what was seen of it."""

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
    leaves_by_authority,
    near,
    seen_on,
)
from addons.health import counts_since
from addons.models import Authority, Certificate, NodeInstallation
from addons.pki.facts import read_certificate
from addons.renewal.plan import Renewal
from addons.renewal.standing import renewals_of
from panel.pages.renewal import RenewalShown, renewal_shown
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


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node's certificate in the list.

    Args:
        seen: What was last seen of it where it is used, with the time.
        other: The fingerprint that was seen instead of its own.
        renewal: What becomes of it before its end.
    """

    certificate: Certificate
    shown: Shown
    seen: Shown
    other: str
    renewal: RenewalShown | None


@dataclass(frozen=True, slots=True)
class AuthorityLine:
    """An authority in the list.

    Args:
        leaves: How many certificates that it issued are in force.
    """

    authority: Authority
    shown: Shown
    serial: str
    leaves: int


def leaf_lines(certificates: Iterable[Certificate], now: datetime) -> list[Leaf]:
    """Return the lines of certificates from `addons.expiry.leaves_listed`."""
    shown = list(certificates)
    nodes = {each.node_id for each in shown if each.node_id}
    rows, renewals = seen_on(nodes), renewals_of(nodes, now)
    return [
        _leaf(each, rows.get(each.node_id or 0), renewals.get(each.node_id or 0), now)
        for each in shown
    ]


def authority_lines(authorities: Iterable[Authority], now: datetime) -> list[AuthorityLine]:
    """Return the lines of authorities from `addons.expiry.authorities_listed`."""
    shown = list(authorities)
    leaves = leaves_by_authority(shown)
    return [
        AuthorityLine(
            each, ending_shown(each.not_after, now), _serial(each), leaves.get(each.pk, 0)
        )
        for each in shown
    ]


def ending_shown(not_after: datetime, now: datetime) -> Shown:
    """Return how near the end of something is, as a state."""
    at = near(not_after, now)
    return Shown(_KINDS[at], _WORDS[at], at=not_after)


def _leaf(
    certificate: Certificate,
    row: NodeInstallation | None,
    renewal: Renewal | None,
    now: datetime,
) -> Leaf:
    server = certificate.purpose == "server"
    observed = row.observed if row else {}
    found = str(observed.get("fingerprint" if server else "client_fingerprint") or "")
    at = row.observed_at if row else None
    if not found:
        seen, other = Shown(UNKNOWN, "Not observed"), ""
    elif found == certificate.fingerprint:
        fresh = at is not None and at > counts_since(now)
        word = "Served" if server else "In place"
        seen, other = Shown(OK if fresh else UNKNOWN, word, at=at), ""
    else:
        seen, other = Shown(BAD, "Another one", at=at), found
    return Leaf(
        certificate,
        ending_shown(certificate.not_after, now),
        seen,
        other,
        renewal_shown(renewal) if renewal else None,
    )


def _serial(authority: Authority) -> str:
    return read_certificate(authority.certificate).serial
