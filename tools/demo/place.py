"""Where a demo keeps itself, and which process it is."""

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import Lab
from lab.processes import ProcessIdentity
from panel.places import BASE_DIR
from tools.demo.nodes import LAB

ROOT = BASE_DIR / ".demo"
STATE = ROOT / "state"
PANEL = ROOT / "panel.json"
_PROCESS = ROOT / "process.json"
_STOP_SECONDS = 90


class DemoError(Exception):
    """The demo cannot run; the text says why and what to do."""


@contextmanager
def sole_demo() -> Iterator[None]:
    """Hold the checkout for one demo; the kernel lets it go however this process ends.

    Raises:
        DemoError: Another one runs.
    """
    # The directory itself is locked: .demo comes and goes with each demo.
    descriptor = os.open(BASE_DIR, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError("A demo runs already here. `make demo-down` stops it.") from None
        yield
    finally:
        os.close(descriptor)


def record_process() -> None:
    """Remember this process, for `stop_running`."""
    ROOT.mkdir(mode=0o700)
    write_json(_PROCESS, vars(ProcessIdentity.of(os.getpid())))


def stop_running() -> bool:
    """Stop the recorded demo if it is still that process; return whether there was one.

    Raises:
        DemoError: It does not end.
    """
    try:
        process = ProcessIdentity(**json.loads(_PROCESS.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return False
    if not process.alive():
        return False
    process.send(signal.SIGTERM)
    if not process.wait_gone(timeout=_STOP_SECONDS):
        raise DemoError(f"The demo, process {process.pid}, does not end. Look at its output.")
    return True


def discard() -> None:
    """Take the nodes down and remove the demo's directory, its own or a killed predecessor's."""
    # First of all: `manage.py` beside the demo is no longer to act on it.
    PANEL.unlink(missing_ok=True)
    Lab(LAB).down()
    shutil.rmtree(ROOT, ignore_errors=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of mode 0600 that appears whole."""
    half = path.with_name(f".{path.name}.new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    half.rename(path)
