"""Truth is the database, not the broker: what waits there is enqueued again."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from addons.models import Run
from addons.runs.bell import ring

# A message that was just sent gets this long to arrive before the sweep sends another.
GRACE = timedelta(seconds=5)


def due_runs(now: datetime) -> list[int]:
    """Return the runs that wait for a worker: queued ones, and those whose lease is over."""
    waiting = Q(state__in=Run.WAITING, created_at__lt=now - GRACE) & (
        Q(lease_until=None) | Q(lease_until__lt=now)
    )
    expired = Q(state__in=Run.ACTIVE) & (Q(lease_until=None) | Q(lease_until__lt=now))
    return list(Run.objects.filter(waiting | expired).order_by("pk").values_list("pk", flat=True))


def runs_sweep(now: datetime | None = None) -> int:
    """Enqueue the runs that are due, and return how many."""
    due = due_runs(now or timezone.now())
    for run in due:
        ring(run)
    return len(due)
