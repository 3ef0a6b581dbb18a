"""Know a process again: a process id alone may have been given to another since."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from lab.commands import LabError


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; the second may contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart by its start time and this machine's boot."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        return cls(pid=pid, started=int(_stat_fields(pid)[19]), boot=_boot_id())

    def alive(self) -> bool:
        try:
            fields = _stat_fields(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return fields[0] not in "ZX" and int(fields[19]) == self.started and self.boot == _boot_id()

    def send(self, number: signal.Signals) -> None:
        """Signal the process if it still is the same one."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait_gone(self, *, timeout: float) -> bool:
        """Wait until the process ended; False when it did not within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def init_of(container: ProcessIdentity) -> int:
    """The container's PID 1 as the host numbers it; nspawn is its parent."""
    try:
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
        for child in children:
            status = Path(f"/proc/{child}/status").read_text()
            ids = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if len(ids) > 2 and ids[-1] == "1":
                return int(child)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise LabError("the node ended") from error
    raise LabError("the node has no init yet")
