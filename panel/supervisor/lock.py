"""One panel a state directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instances.errors import Conflict
from instances.reason import Reason

_NAME = "start.lock"


@contextmanager
def sole_use(state: Path) -> Iterator[None]:
    """Hold the state directory for this process; the kernel lets it go however that ends.

    Raises:
        Conflict: Another process holds it.
    """
    descriptor = os.open(state / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(_running(state, os.read(descriptor, 20))) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _running(state: Path, holder: bytes) -> Reason:
    process = f"process {holder.decode()}" if holder.isdigit() else "another process"
    return Reason(
        "Running", f"The panel in {state} is in use by {process}.", "Stop that one first."
    )
