"""What processes cost: seconds of the processor, from the kernel's own accounts."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one installation took.

    Args:
        wall_s: From asking for it to its last record.
        cpu_s: User and system time of the processes on the panel's side.
    """

    wall_s: float
    cpu_s: float


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return what the processes, and all that came from them, have used so far."""
    return sum(_used(pid) for root in processes for pid in _tree(root))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _used(pid: int) -> float:
    """Return user and system time, of ended and awaited children too (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return which share of the machine's processors was busy between two `machine_ticks`."""
    busy, total = after[0] - before[0], after[1] - before[1]
    return busy / total if total else 0.0


def machine_ticks() -> tuple[int, int]:
    """Return the machine's busy and its total processor time so far (proc_stat(5))."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, idle, waiting, *rest = (int(word) for word in first.split()[1:9])
    busy = user + nice + system + sum(rest)
    return busy, busy + idle + waiting
