"""A control group for each node: systemd in a node takes the group it is born in for the root."""

import contextlib
import os
from pathlib import Path

ALL_LABS = "redoubt-lab"
_ROOT = Path("/sys/fs/cgroup")


def _trees() -> list[Path]:
    """Where process groups are kept: the unified tree, and on a hybrid host systemd's own."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for path in (_ROOT / "unified", _ROOT / "systemd") if path.is_dir()]


def join(group: str) -> None:
    """Make the group and move this process there."""
    for tree in _trees():
        path = tree / group
        path.mkdir(parents=True, exist_ok=True)
        (path / "cgroup.procs").write_text(str(os.getpid()))


def kill(group: str) -> None:
    """Kill whatever still runs in the group; a node's init outlives a killed nspawn."""
    killer = _trees()[0] / group / "cgroup.kill"
    if killer.exists():
        killer.write_text("1")


def empty(group: str) -> bool:
    events = _trees()[0] / group / "cgroup.events"
    return not events.exists() or "populated 0" in events.read_text()


def remove(group: str) -> None:
    """Remove the group and what a node left below it; a group still in use stays."""
    for tree in _trees():
        for path, _, _ in os.walk(tree / group, topdown=False):
            with contextlib.suppress(OSError):
                Path(path).rmdir()


def remove_if_empty(group: str) -> None:
    """Remove the group unless something, such as another lab, is still below it."""
    for tree in _trees():
        with contextlib.suppress(OSError):
            (tree / group).rmdir()
