"""Doors: each task calls one service with ids."""

from celery import shared_task

from addons.runs import drive, sweep
from addons.runs.bell import RUN_DRIVE


@shared_task(name=RUN_DRIVE)
def run_drive(run: int) -> None:
    """Take the run if it is to be taken, and carry it out."""
    drive.run_drive(run=run)


@shared_task
def runs_sweep() -> None:
    """Enqueue every run that waits or whose worker is gone."""
    sweep.runs_sweep()
