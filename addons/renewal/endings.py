"""Warning of what ends and is not renewed by itself: 30, 14 and 7 days before, and when it has."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from addons.clients.selectors import client_certificates
from addons.expiry import authorities_in_use, leaves_in_force
from addons.models import Authority, Certificate
from addons.pki.policy import WARN_AT, days_to_warn_of
from addons.renewal.plan import FINE, Renewal, Way
from addons.renewal.standing import renewals_of
from instances.audit import PANEL, audit
from instances.models import NodeGroup

NAMED = 8
"""How many nodes a warning names."""


def endings_tick(now: datetime | None = None) -> int:
    """Warn of what has come nearer to its end, once at each stage; return of how many.

    A certificate that is renewed by itself, and can be, is no matter.
    """
    now = now or timezone.now()
    with transaction.atomic():
        return sum(warn(now) for warn in (_leaves, _clients, _authorities))


def to_warn_of(now: datetime) -> Q:
    """Return the condition of what has come to a stage of which nobody was warned yet."""
    stages = (*WARN_AT, 0)
    found = Q(warned=None, not_after__lte=now + timedelta(days=WARN_AT[0]))
    for days in stages:
        found |= Q(warned__gt=days, not_after__lte=now + timedelta(days=days))
    return found


def _leaves(now: datetime) -> int:
    found = (
        leaves_in_force()
        .filter(to_warn_of(now), renew_at__lte=now)
        .select_related("node__group__environment")
        .order_by("not_after", "node__name")
    )
    leaves = [each for each in found if _comes_nearer(each, now)]
    renewals = renewals_of({each.node_id or 0 for each in leaves}, now)
    together: dict[tuple[NodeGroup, int, Way], list[Certificate]] = defaultdict(list)
    for each in leaves:
        days, way = _days(each, now), _way(each, renewals)
        if each.node and (days == 0 or way not in FINE):
            together[each.node.group, days, way].append(each)
    for (group, days, way), certificates in together.items():
        _warned(certificates, days)
        names = list(dict.fromkeys(str(each.node) for each in certificates))
        audit(
            PANEL,
            _verb("certificates", days),
            group,
            **_detail(days, certificates[0].not_after),
            renewal=way.value,
            nodes=names[:NAMED],
            count=len(names),
        )
    return sum(map(len, together.values()))


def _clients(now: datetime) -> int:
    found = client_certificates().filter(to_warn_of(now), state=Certificate.State.ISSUED)
    count = 0
    for each in found.order_by("not_after"):
        if _comes_nearer(each, now):
            days, count = _days(each, now), count + 1
            _warned([each], days)
            audit(PANEL, _verb("certificate", days), each, **_detail(days, each.not_after))
    return count


def _authorities(now: datetime) -> int:
    count = 0
    for each in authorities_in_use().filter(to_warn_of(now)).defer("private_key"):
        if _comes_nearer(each, now):
            days, count = _days(each, now), count + 1
            Authority.objects.filter(pk=each.pk).update(warned=days)
            audit(PANEL, _verb("authority", days), each, **_detail(days, each.not_after))
    return count


def _comes_nearer(each: Certificate | Authority, now: datetime) -> bool:
    days = days_to_warn_of(each.not_before, each.not_after, now)
    return days is not None and (each.warned is None or days < each.warned)


def _days(each: Certificate | Authority, now: datetime) -> int:
    return days_to_warn_of(each.not_before, each.not_after, now) or 0


def _way(leaf: Certificate, renewals: Mapping[int, Renewal]) -> Way:
    renewal = renewals.get(leaf.node_id or 0)
    return renewal.way if renewal else Way.OFF


def _warned(certificates: Iterable[Certificate], days: int) -> None:
    keys = [each.pk for each in certificates]
    Certificate.objects.filter(pk__in=keys).update(warned=days)


def _verb(what: str, days: int) -> str:
    return f"{what}.{'ending' if days else 'expired'}"


def _detail(days: int, first: datetime) -> dict[str, object]:
    return {"days": days, "ends": f"{first:%Y-%m-%d %H:%M} UTC"}
