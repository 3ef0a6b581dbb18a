"""Redoubt as it runs in production: SQLite, its own broker, its Celery worker and beat."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from kombu.exceptions import OperationalError

from addons.actions import INSTALL
from addons.authorities import issuing_authority
from addons.models import Run
from addons.runs.services import run_create
from bench.contender import InstallFailed
from bench.usage import Usage, cpu_seconds
from instances.audit import Actor
from instances.models import Environment, Node, NodeGroup
from instances.secret import Secret
from instances.services import (
    NodeRequest,
    credential_create,
    environment_create,
    group_create,
    node_register,
)
from instances.tasks import node_look
from lab import LabNode
from panel.celery import app
from panel.setup import panel_setup
from panel.supervisor import services
from panel.supervisor.tether import die_with_parent

_ACTOR = Actor(None, "bench", "terminal")
_READY_SECONDS = 60.0
_RUN_SECONDS = 120.0
_POLL_SECONDS = 0.02


class Redoubt:
    """The panel of the state directory that the settings name; see `running_panel`.

    Args:
        processes: The panel's own processes.
    """

    name = "redoubt"

    def __init__(self, processes: Sequence[int]) -> None:
        self._processes = processes

    def prepare(self, nodes: Sequence[LabNode]) -> None:
        """Register the nodes in an empty database and have the worker look at them."""
        call_command("flush", interactive=False, verbosity=0)
        panel_setup(say=lambda _line: None, static=False)
        key = Secret(Path(nodes[0].identity).read_text())
        credential_create(actor=_ACTOR, name="bench", private_key=key)
        environment = environment_create(actor=_ACTOR, name="bench")
        group = group_create(actor=_ACTOR, environment=environment, name="bench")
        for node in nodes:
            request = NodeRequest(
                address=node.address, name=node.name, user=node.user, host_key=node.host_key
            )
            node_look.delay(node_register(actor=_ACTOR, group=group, request=request).pk)
        _wait_for_looks(len(nodes))

    def install(self) -> Usage:
        """Call the service as a page or a command does, and wait for the run's end."""
        group = NodeGroup.objects.get(name="bench")
        before, own = cpu_seconds(self._processes), time.process_time()
        began = time.perf_counter()
        run = run_create(
            actor=_ACTOR,
            group=group,
            addon="encryption",
            action=INSTALL,
            settings={},
            confirmed=True,
        )
        own = time.process_time() - own
        state = _end_of(run)
        wall = time.perf_counter() - began
        if state != Run.State.SUCCEEDED:
            run.refresh_from_db()
            raise InstallFailed(f"The run ended as “{state}”: {run.failure}")
        # The worker has something to tidy up still, and the account is to have it.
        time.sleep(0.5)
        return Usage(wall, cpu_seconds(self._processes) - before + own)

    def authority(self) -> str:
        """Return the authority that the install made."""
        return issuing_authority(Environment.objects.get(name="bench")).certificate


@contextmanager
def running_panel(state: Path) -> Iterator[Sequence[int]]:
    """Set a panel up and run it but for its web process; yield its processes' ids."""
    panel_setup(say=lambda _line: None, static=False)
    chosen = [
        services.broker(state=state, socket=settings.BROKER_SOCKET),
        services.worker(concurrency=4),
        services.beat(state),
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        with (state / "panel.log").open("ab") as log:
            started += [_start(service, state, log.fileno()) for service in chosen]
        _wait_for_worker(started, state)
        yield [process.pid for process in started]
    finally:
        # The broker last: the others say good-bye to it.
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=30)


def _start(service: services.Service, state: Path, log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        service.argv,
        env=services.environment(service, state=state),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 -- no other thread runs
    )


def _wait_for_worker(started: Sequence[subprocess.Popen[bytes]], state: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not _worker_answers():
        if time.monotonic() > deadline or any(process.poll() is not None for process in started):
            raise InstallFailed(f"The panel did not start:\n{(state / 'panel.log').read_text()}")
        time.sleep(0.1)


def _worker_answers() -> bool:
    try:
        return bool(app.control.ping(timeout=0.5))
    except OperationalError:
        return False


def _wait_for_looks(count: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while Node.objects.filter(looked_at=None).exists():
        if time.monotonic() > deadline:
            raise InstallFailed("The worker did not look at all nodes.")
        time.sleep(0.1)
    fit = Node.objects.filter(fault={}).count()
    if fit != count:
        faults = Node.objects.exclude(fault={}).values_list("name", "fault")
        raise InstallFailed(f"Nodes are not ready: {list(faults)}")


def _end_of(run: Run) -> str:
    """Wait until the run's last record is there, and return its state."""
    deadline = time.monotonic() + _RUN_SECONDS
    while time.monotonic() < deadline:
        state: str = Run.objects.values_list("state", flat=True).get(pk=run.pk)
        if state in Run.ENDED:
            return state
        time.sleep(_POLL_SECONDS)
    raise InstallFailed("The run did not end within two minutes.")
