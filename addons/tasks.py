"""Doors: each task calls one service with ids."""

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from addons.encryption import remembering
from addons.renewal import endings, tick
from addons.runs import drive, sweep
from addons.runs.bell import RUN_DRIVE
from addons.watch import observe, schedule
from addons.watch.schedule import NODES_OBSERVE


@shared_task(name=RUN_DRIVE)
def run_drive(run: int) -> None:
    """Take the run if it is to be taken, and carry it out."""
    drive.run_drive(run=run)


@shared_task
def runs_sweep() -> None:
    """Enqueue every run that waits or whose worker is gone."""
    sweep.runs_sweep()


@shared_task(name=NODES_OBSERVE)
def nodes_observe(rows: list[int], asked_at: str) -> None:
    """Look at nodes on which an add-on is."""
    observe.nodes_observe(rows=rows, asked_at=datetime.fromisoformat(asked_at))


@shared_task
def observations_tick() -> None:
    """Have the nodes that are due looked at."""
    schedule.observations_tick()


@shared_task
def clients_forget() -> None:
    """Forget who has not spoken plaintext for long."""
    remembering.clients_forget(now=timezone.now())


@shared_task
def renewals_tick() -> None:
    """Start the renewals that are to begin now."""
    tick.renewals_tick()


@shared_task
def endings_tick() -> None:
    """Warn of what ends soon."""
    endings.endings_tick()
