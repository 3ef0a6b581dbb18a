"""Where a lab keeps what it knows: one directory a lab, one directory a node."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from lab.commands import LabError
from lab.processes import ProcessIdentity

SUBNETS = 250


def state_root() -> Path:
    return Path(os.environ.get("REDOUBT_LAB_STATE", "/var/lib/redoubt-lab"))


def cache_root() -> Path:
    return Path(os.environ.get("REDOUBT_LAB_CACHE", "/var/cache/redoubt-lab"))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock, which ends with the process however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def try_lock(path: Path) -> TextIO | None:
    """Take a lock for as long as the returned file is open; None when another holds it."""
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a file at once, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}.new")
    half.write_text(json.dumps(content, indent=1))
    half.rename(path)


@dataclass(frozen=True)
class LabFiles:
    """The directory of one lab."""

    name: str

    @property
    def root(self) -> Path:
        return state_root() / "labs" / self.name

    @property
    def identity(self) -> Path:
        return self.root / "id_ed25519"

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return locked(state_root() / "locks" / self.name)

    def node(self, name: str) -> "NodeFiles":
        return NodeFiles(self.root / "nodes" / name)

    def nodes(self) -> list["NodeFiles"]:
        """The nodes that have been made completely."""
        kept = (NodeFiles(path) for path in (self.root / "nodes").glob("*"))
        return sorted((node for node in kept if node.settings.exists()), key=NodeFiles.index)


@dataclass(frozen=True)
class NodeFiles:
    """The directory of one node."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "settings.json"

    @property
    def upper(self) -> Path:
        return self.root / "disk"

    @property
    def work(self) -> Path:
        return self.root / "overlay-work"

    @property
    def merged(self) -> Path:
        return self.root / "merged"

    @property
    def log(self) -> Path:
        return self.root / "console.log"

    @property
    def cut(self) -> Path:
        """A flag: while it exists, the node's cable is out."""
        return self.root / "cut"

    def read_settings(self) -> dict[str, Any]:
        found = read_json(self.settings)
        if found is None:
            raise LabError(f"{self.root.name}: no such node; see 'python -m lab list'")
        return found

    def index(self) -> int:
        return int(self.read_settings()["index"])

    def record(self, role: str, process: ProcessIdentity) -> None:
        """Remember the process in a role: ``supervisor`` or ``container``."""
        write_json(self.root / f"{role}.json", vars(process))

    def process(self, role: str) -> ProcessIdentity | None:
        """The living process in a role, if there is one."""
        found = read_json(self.root / f"{role}.json")
        process = ProcessIdentity(**found) if found else None
        return process if process and process.alive() else None


def machine(settings: dict[str, Any]) -> str:
    """The name nspawn knows a node by: nodes of two labs may have the same name."""
    return f"redoubt-{settings['subnet']}-{settings['index']}"


def allocate_subnet(lab: str) -> int:
    """The third octet of a lab's network, the same for as long as the lab exists."""
    path = state_root() / "subnets.json"
    with locked(state_root() / "locks" / ".subnets"):
        taken = read_json(path) or {}
        if lab not in taken:
            taken[lab] = next(n for n in range(SUBNETS) if _free(n, taken))
            write_json(path, taken)
        return int(taken[lab])


def _free(number: int, taken: dict[str, Any]) -> bool:
    # A lab that keeps its state elsewhere is known by its bridge alone.
    return number not in taken.values() and not Path(f"/sys/class/net/redoubt{number}").exists()


def release_subnet(lab: str) -> None:
    path = state_root() / "subnets.json"
    with locked(state_root() / "locks" / ".subnets"):
        taken = read_json(path) or {}
        if taken.pop(lab, None) is not None:
            write_json(path, taken)
