"""honcho's Manager, with processes that are tethered and stopped in order."""

import contextlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from shlex import join
from typing import Any

from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Popen, Process

from panel.supervisor.services import BROKER, Service
from panel.supervisor.tether import die_with_parent

_GRACE_SECONDS = 15.0
_POLL_SECONDS = 0.05


class Stack(Manager):  # type: ignore[misc]  # honcho has no types
    """Runs the services until one of them ends or a signal comes.

    honcho signals whole process groups and all services at once; Celery's pool would be cut off
    in the middle of a step and the broker gone before the worker. Here each service gets SIGTERM
    by its process id and may finish, the broker last. docs/decisions/ has more.

    Args:
        services: In the order of their start.
        variables: The environment of each service, by its name.
        started: Called in a thread of its own once all are started; gets a function that prints.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        variables: Mapping[str, Mapping[str, str]],
        cwd: str,
        started: Callable[[Callable[[str], None]], None],
    ) -> None:
        super().__init__(Printer(_unbuffered_stdout()))
        self._process_ctor = partial(_TetheredProcess, supervisor=os.getpid())
        self._started = started
        self._stop = threading.Event()
        for service in services:
            command = f"exec {join(service.argv)}"
            self.add_process(service.name, command, env=dict(variables[service.name]), cwd=cwd)

    def run(self) -> int:
        """Return the exit status: never 0, for a panel runs until it is stopped or fails."""
        try:
            self.loop()
        finally:
            self._signal(list(self._processes), signal.SIGKILL)
        return self.returncode or 1

    def terminate(self) -> None:
        """Have everything stopped. Called from signal handlers, so it only leaves word."""
        self._stop.set()

    def kill(self) -> None:
        """Nothing: honcho calls this five seconds on, the ordered stop gives longer."""

    def _start(self) -> None:
        super()._start()
        # After the forks: a fork copies locks that threads hold.
        threading.Thread(target=self._stop_in_order, daemon=True).start()
        threading.Thread(target=self._started, args=(self._say,), daemon=True).start()

    def _say(self, line: str) -> None:
        if not self._stop.is_set():
            self._system_print(line + "\n")

    def _stop_in_order(self) -> None:
        self._stop.wait()
        names = list(self._processes)
        for wave in ([name for name in names if name != BROKER], [BROKER]):
            self._stop_wave([name for name in wave if name in names])

    def _stop_wave(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + _GRACE_SECONDS
        told: set[str] = set()
        while running := self._running(names):
            late = time.monotonic() > deadline
            # A process that is just starting has no id yet: it is told once it has.
            told |= self._signal(
                [name for name in running if late or name not in told],
                signal.SIGKILL if late else signal.SIGTERM,
            )
            time.sleep(_POLL_SECONDS)

    def _running(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if "returncode" not in self._processes[name]]

    def _signal(self, names: Sequence[str], number: signal.Signals) -> set[str]:
        """Signal those of the services that run, and return their names."""
        told = set()
        for name in self._running(names):
            if pid := self._processes[name].get("pid"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                told.add(name)
        return told


class _TetheredProcess(Process):  # type: ignore[misc]  # honcho has no types
    """A service, and honcho's own process that reads its output, neither of which outlives us."""

    def __init__(self, *args: Any, supervisor: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._supervisor = supervisor

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Run in honcho's process for this service."""
        die_with_parent(self._supervisor)
        tether = partial(die_with_parent, os.getpid())
        self._child_ctor = partial(Popen, preexec_fn=tether)
        super().run(*args, **kwargs)


def _unbuffered_stdout() -> io.TextIOWrapper:
    """Return standard output without a buffer: a signal handler may print while we print."""
    return io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
