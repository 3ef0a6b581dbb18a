"""``manage.py start``: run the panel."""

import os
import time
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connections

from panel import checks
from panel.management.terminal import PanelCommand
from panel.places import BASE_DIR
from panel.setup import require_ready
from panel.supervisor import services
from panel.supervisor.lock import sole_use
from panel.supervisor.stack import Stack

_READY_SECONDS = 60


class Command(PanelCommand):
    """Run web, worker, beat and, unless CELERY_BROKER_URL names one, a broker."""

    help = "Run the panel in the foreground: web, worker, beat and, where none is named, a broker."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=2, help="web processes")
        parser.add_argument("--concurrency", type=int, default=4, help="runs at the same time")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until a signal comes or a process ends."""
        self.run_act(self._start, Namespace(**options))

    def _start(self, options: Namespace) -> int:
        require_ready()
        self.check(tags=[checks.TAG])
        os.umask(0o077)
        state = settings.STATE_DIR
        with sole_use(state):
            chosen = _services(options)
            # Nothing open is handed to the processes.
            connections.close_all()
            stack = Stack(
                chosen,
                variables={each.name: services.environment(each, state=state) for each in chosen},
                cwd=str(BASE_DIR),
                started=lambda say: _announce(options.host, options.port, say),
            )
            return stack.run()


def _services(options: Namespace) -> list[services.Service]:
    state = settings.STATE_DIR
    chosen = [
        services.web(host=options.host, port=options.port, workers=options.workers),
        services.worker(concurrency=options.concurrency),
        services.beat(state),
    ]
    if os.environ.get("CELERY_BROKER_URL"):
        return chosen
    return [services.broker(state=state, socket=settings.BROKER_SOCKET), *chosen]


def _announce(host: str, port: int, say: Callable[[str], None]) -> None:
    """Say once that pages are served, or that they are not after a minute."""
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 -- compared with, not bound to
    address = f"http://{wildcard.get(host, f'[{host}]' if ':' in host else host)}:{port}"
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if _healthy(address):
            say(f"Redoubt is ready: {address}")
            return
        time.sleep(0.1)
    say(f"Redoubt does not answer at {address}/healthz; the lines above may say why")


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
