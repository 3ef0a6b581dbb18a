"""Which nodes are to be looked at when: oldest first, a few at a time, none that a run has."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from celery import current_app
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError

from addons.models import MachineLock, NodeInstallation

NODES_OBSERVE = "addons.nodes_observe"
"""The task's name; the task itself imports the service that looks."""
TICK = timedelta(seconds=30)
BATCH = 8
"""Nodes in one task: they are looked at side by side."""
FEWEST = 8
_HASTE = 2
"""How many times as fast as it must be a backlog is worked off."""
_LAST = 9
"""A priority after that of runs, for brokers that know any (kombu: 0 is first on Redis)."""

logger = logging.getLogger(__name__)


def observable() -> QuerySet[NodeInstallation]:
    """Return what is installed on nodes whose machine no run holds."""
    held = MachineLock.objects.values("machine")
    return NodeInstallation.objects.filter(
        installation__generation__gt=0, node__archived_at=None
    ).exclude(node__machine__in=held)


def due(*, now: datetime, interval: timedelta, tick: timedelta) -> list[int]:
    """Return whom to look at now: those not looked at for longest, as many as a tick's share.

    What was installed together is so spread over the interval, and a backlog, as after a night
    without a broker, does not come all at once.

    Args:
        now: The present time.
        interval: How often each node is to be looked at.
        tick: How often this is asked.
    """
    everything = NodeInstallation.objects.count()
    share = math.ceil(everything * _HASTE * (tick / interval))
    waiting = observable().filter(Q(checked_at=None) | Q(checked_at__lte=now - interval))
    oldest = waiting.order_by(F("checked_at").asc(nulls_first=True), "pk")
    return list(oldest.values_list("pk", flat=True)[: max(FEWEST, share)])


def observations_tick(now: datetime | None = None) -> int:
    """Have the nodes that are due looked at, and return how many; the next tick asks again."""
    if not settings.OBSERVE_INTERVAL:
        return 0
    now = now or timezone.now()
    rows = due(now=now, interval=settings.OBSERVE_INTERVAL, tick=TICK)
    try:
        observe_ask(rows, now=now, expires=TICK)
    except OperationalError as error:
        logger.warning("%s looks wait for the broker: %s", len(rows), error)
        return 0
    return len(rows)


def observe_ask(rows: Iterable[int], *, now: datetime, expires: timedelta | None = None) -> None:
    """Have nodes looked at by workers.

    Args:
        rows: The keys of what is installed on them.
        now: Whoever was looked at after that is not looked at again for this.
        expires: After which nobody needs it any more.

    Raises:
        OperationalError: The broker is out of reach.
    """
    for batch in _batches(rows):
        current_app.send_task(
            NODES_OBSERVE,
            args=[batch, now.isoformat()],
            priority=_LAST if expires else 0,
            expires=expires.total_seconds() if expires else None,
        )


def _batches(rows: Iterable[int]) -> Iterator[Sequence[int]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH)):
        yield batch
