"""Whether an add-on is as it should be on a node: what lists count and narrow by, in SQL.

`panel.pages.state.row_shown` says the same of one row, in words; a test holds the two together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Min, Q, QuerySet, Value
from django.db.models.functions import Concat

from addons.engine.conditions import decisive
from addons.models import Installation, NodeInstallation
from instances.models import Node, NodeGroup

_Health = NodeInstallation.Health
LOOKS_MISSED = 4
"""After so many intervals without an observation, what was good is not known to be so any more."""
LEAST = timedelta(minutes=30)
UNWATCHED = timedelta(days=1)
"""How long an observation counts where watching is switched off: somebody looks now and then."""

_HEALTH = {"true": _Health.OK, "false": _Health.BAD, "unknown": _Health.UNKNOWN}


def health_of(conditions: Sequence[Mapping[str, Any]]) -> NodeInstallation.Health:
    """Return what conditions come to; unknown where there are none."""
    condition = decisive(conditions)
    return _HEALTH[condition["status"]] if condition else _Health.UNKNOWN


def ending(observed: Mapping[str, Any]) -> datetime | None:
    """Return when the certificate that was observed ends; None where none was."""
    moment = observed.get("not_after")
    return datetime.fromisoformat(moment) if moment else None


def counts_since(now: datetime) -> datetime:
    """Return from when on an observation counts: what was good before that is unknown."""
    interval: timedelta = settings.OBSERVE_INTERVAL
    return now - (max(LOOKS_MISSED * interval, LEAST) if interval else UNWATCHED)


def as_wanted(now: datetime, seen: str = "observed_at") -> Q:
    """Return the condition of rows that were verified lately, and still hold.

    Args:
        now: A certificate that ends by then has expired.
        seen: The name under which the rows have the moment of their observation.
    """
    return _holds(now) & Q((f"{seen}__gt", counts_since(now)))


def _holds(now: datetime) -> Q:
    return Q(health=_Health.OK) & (Q(not_after=None) | Q(not_after__gt=now))


def not_as_wanted(now: datetime) -> Q:
    """Return the condition of rows that were seen otherwise, or whose certificate has expired.

    Neither grows old: nobody has seen that it is better by now.
    """
    return Q(health=_Health.BAD) | Q(health=_Health.OK, not_after__lte=now)


@dataclass(frozen=True, slots=True)
class Counts:
    """Nodes with an add-on.

    Args:
        installed: All of them.
        verified: Those that are as wanted.
        bad: Those that are not; the rest is unknown.
        plain: Those that are verified, and without a certificate: in plaintext, as wanted.
        ends: When the first of the verified certificates ends.
    """

    installed: int = 0
    verified: int = 0
    bad: int = 0
    plain: int = 0
    ends: datetime | None = None

    @property
    def encrypted(self) -> int:
        """Return how many showed a certificate that holds."""
        return self.verified - self.plain


def _counts(now: datetime) -> dict[str, Count | Min]:
    return {
        "installed": Count("pk"),
        "verified": Count("pk", filter=as_wanted(now)),
        "bad": Count("pk", filter=not_as_wanted(now)),
        "plain": Count("pk", filter=as_wanted(now) & Q(not_after=None)),
        "ends": Min("not_after", filter=as_wanted(now)),
    }


def fleet_parts(addon: str, now: datetime) -> list[QuerySet[Any, Any]]:
    """Return what `fleet_counts` is summed up of: rows of kind and number.

    Nearly all rows are of the add-on, so that counting all by the index of their health, and the
    others once more, is quicker than asking each for its installation.
    """
    others = Installation.objects.exclude(addon=addon, generation__gt=0)
    rows = NodeInstallation.objects.order_by()
    parts = (
        rows.values(kind=F("health")),
        rows.filter(installation__in=others.values("pk")).values(
            kind=Concat(Value("other "), F("health"))
        ),
        rows.filter(health=_Health.OK, not_after__lte=now)
        .exclude(installation__in=others.values("pk"))
        .values(kind=Value("expired")),
        rows.filter(_holds(now), observed_at__lte=counts_since(now))
        .exclude(installation__in=others.values("pk"))
        .values(kind=Value("stale")),
        rows.filter(as_wanted(now), not_after=None)
        .exclude(installation__in=others.values("pk"))
        .values(kind=Value("plain")),
    )
    return [each.annotate(number=Count("pk")).values_list("kind", "number") for each in parts]


def fleet_counts(found: Mapping[str, int]) -> Counts:
    """Return how many nodes have an add-on.

    Args:
        found: The rows of `fleet_parts`.
    """
    own = {kind: found.get(kind, 0) - found.get(f"other {kind}", 0) for kind in _Health.values}
    expired = found.get("expired", 0)
    return Counts(
        installed=sum(own.values()),
        verified=own[_Health.OK] - expired - found.get("stale", 0),
        bad=own[_Health.BAD] + expired,
        plain=found.get("plain", 0),
    )


def installed() -> QuerySet[NodeInstallation]:
    """Return what is installed on nodes; not what only a preview or a failed install left."""
    return NodeInstallation.objects.filter(installation__generation__gt=0)


def group_counts(addon: str, groups: Iterable[NodeGroup], now: datetime) -> dict[int, Counts]:
    """Count the nodes with an add-on in each of some groups, by the group's key."""
    rows = installed().filter(installation__addon=addon, installation__group__in=list(groups))
    counted = rows.values("installation__group").annotate(**_counts(now)).order_by()
    return {
        group: Counts(*numbers)
        for group, *numbers in counted.values_list("installation__group", *_counts(now))
    }


@dataclass(frozen=True, slots=True)
class Observed:
    """What was observed of one installation.

    Args:
        oldest: When the node was observed that was not observed for the longest.
    """

    counts: Counts = Counts()
    oldest: datetime | None = None


def installation_counts(
    installations: Iterable[Installation], now: datetime
) -> dict[int, Observed]:
    """Count the nodes of installations, by the installation's key."""
    rows = installed().filter(installation__in=list(installations)).values("installation")
    counted = rows.annotate(**_counts(now), oldest=Min("observed_at")).order_by()
    fields = ("installation", "oldest", *_counts(now))
    return {
        installation: Observed(Counts(*numbers), oldest)
        for installation, oldest, *numbers in counted.values_list(*fields)
    }


def rows_on(addon: str, nodes: Iterable[Node]) -> QuerySet[NodeInstallation]:
    """Return an add-on's rows on nodes, without the way back and the details."""
    rows = installed().filter(installation__addon=addon, node__in=list(nodes))
    return rows.select_related("installation").defer("baseline", "observed")


def rows_not_as_wanted(now: datetime) -> QuerySet[NodeInstallation]:
    """Return what is not as it should be, with where that is, without the way back."""
    return (
        installed()
        .filter(not_as_wanted(now))
        .select_related("node", "installation__group__environment")
        .only(
            *("observed_at", "observed_generation", "conditions", "not_after"),
            *("installation__generation", "installation__group__name"),
            *("installation__group__environment__name", "node__name"),
        )
        .order_by("pk")
    )
