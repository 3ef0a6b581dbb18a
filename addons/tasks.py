"""Doors: each task calls one service with ids."""

from celery import shared_task
from celery.contrib.django.task import DjangoTask


@shared_task(base=DjangoTask)
def run_drive(run: int) -> None:
    """Take the run if it is to be taken, and carry it out."""
    from addons.runs.drive import run_drive as service  # noqa: PLC0415 -- the services import tasks

    service(run=run)


@shared_task(base=DjangoTask)
def runs_sweep() -> None:
    """Enqueue every run that waits or whose worker is gone."""
    from addons.runs.sweep import runs_sweep as service  # noqa: PLC0415 -- as above

    service()
