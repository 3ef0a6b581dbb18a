"""Telling a worker that a run waits. A bell that is not heard costs ten seconds, not the run."""

import logging
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

RUN_DRIVE = "addons.run_drive"
"""The task's name; the task itself imports the services that ring."""

logger = logging.getLogger(__name__)


def ring(run: int) -> None:
    """Enqueue the run once the transaction is committed.

    Where the broker is out of reach the run stays queued in the database: the sweep finds it.
    """
    transaction.on_commit(partial(_send, run))


def _send(run: int) -> None:
    try:
        current_app.send_task(RUN_DRIVE, args=[run])
    except OperationalError as error:
        logger.warning("run %s waits for the sweep: the broker is out of reach: %s", run, error)
