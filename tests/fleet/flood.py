"""What a test does inside a panel's own process: empty the broker while runs wait and run.

Run as ``python -m tests.fleet.flood LAB`` with the panel's environment; prints JSON.
"""

import json
import os
import sys
import threading
from collections.abc import Callable

import django

from tests.fleet import scene

_EVERY_SECONDS = 0.3


def main(lab: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
    django.setup()
    groups = scene.register(lab)
    result = {
        "emptied": while_runs_run(empty_broker, groups * 2, "install"),
        "twice": while_runs_run(ring_again, groups, "uninstall"),
    }
    print(json.dumps(result))


def while_runs_run(act: Callable[[], None], groups: list[int], action: str) -> dict[str, object]:
    """Ask for runs; act again and again for the first seconds of them."""
    over = threading.Event()

    def again() -> None:
        for _ in range(20):
            act()
            if over.wait(_EVERY_SECONDS):
                return

    beside = threading.Thread(target=again)
    beside.start()
    try:
        return scene.in_parallel(groups, action)
    finally:
        over.set()
        beside.join()


def empty_broker() -> None:
    from django.conf import settings
    from redis import Redis

    with Redis(unix_socket_path=str(settings.BROKER_SOCKET)) as broker:
        broker.flushall()


def ring_again() -> None:
    """Send every run that has not ended once more."""
    from django.db import connection

    from addons.models import Run
    from addons.runs.bell import ring

    try:
        for run in Run.objects.exclude(state__in=Run.ENDED):
            ring(run.pk)
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
