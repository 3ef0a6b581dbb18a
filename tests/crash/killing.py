"""A worker of its own process that is killed with SIGKILL at one place."""

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from addons.runs import drive
from addons.runs.journal import DatabaseJournal


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_another_process(work: Callable[[], None]) -> int:
    """Fork, work there, and return the child's wait status."""
    connections.close_all()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def drive_until(run: int, event: str, step: str) -> bool:
    """Drive the run in a process that dies at a boundary; say whether it got there.

    `before` is when a before-state was committed and nothing done yet; `applied` when a step acted
    and its record was not sent; `node_done` when everything was verified and not recorded.
    """

    def worker() -> None:
        patch = pytest.MonkeyPatch()
        original: Callable[..., Any] = getattr(DatabaseJournal, event)

        def deadly(self: DatabaseJournal, node: int, *args: Any, **named: Any) -> Any:
            here = not step or (args and args[0] == step)
            if here and event != "before":
                die()
            found = original(self, node, *args, **named)
            if here:
                die()
            return found

        patch.setattr(DatabaseJournal, event, deadly)
        drive.run_drive(run=run)

    return os.WIFSIGNALED(in_another_process(worker))
