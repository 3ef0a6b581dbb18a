"""Taking a run: the lease and the machine locks. Compare and swap, no transaction held open."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from addons.models import Run
from addons.runs.machines import machines_lock


@dataclass(frozen=True, slots=True)
class Lease:
    """This worker's hold on a run.

    Args:
        holder: A random id of the worker's attempt.
        attempt: How many workers have held the run, this one included.
        takeover: Whether an earlier one may have begun.
        back: Whether the run only goes back.
    """

    run: int
    holder: str
    attempt: int
    takeover: bool
    back: bool


def run_claim(*, run: int, holder: str, now: datetime) -> Lease | None:
    """Take the run, or return None where it is not to be had.

    It is to be had when it waits and no other run holds its machines, or when the lease of the
    worker that had it is over.
    """
    try:
        with transaction.atomic():
            return _claim(run, holder, now)
    except IntegrityError:
        return None


def _claim(pk: int, holder: str, now: datetime) -> Lease | None:
    until = now + timedelta(seconds=settings.RUN_LEASE_SECONDS)
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    mine = Run.objects.filter(free, pk=pk)
    taken = {"lease_holder": holder, "lease_until": until, "attempt": F("attempt") + 1}
    if mine.filter(state=Run.State.QUEUED).update(**taken, state=Run.State.RUNNING, started_at=now):
        machines_lock(pk)
    elif not mine.filter(state__in=[*Run.ACTIVE, Run.State.PREVIEWING]).update(**taken):
        return None
    run = Run.objects.get(pk=pk)
    first_forward = run.state == Run.State.RUNNING and run.started_at == now
    return Lease(
        run=pk,
        holder=holder,
        attempt=run.attempt,
        takeover=not first_forward and run.state in Run.ACTIVE,
        back=run.state == Run.State.PUTTING_BACK,
    )


def held_by(lease: Lease) -> QuerySet[Run]:
    """Return the run while this worker holds it; a preview that was discarded is nobody's."""
    under_way = [*Run.ACTIVE, Run.State.PREVIEWING]
    return Run.objects.filter(pk=lease.run, lease_holder=lease.holder, state__in=under_way)
