"""Start a node's supervisor, and end everything that belongs to a node."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab import cgroups
from lab.commands import LabError
from lab.state import NodeFiles, machine, read_json

_CHECKOUT = Path(__file__).parents[1]
_KILL_SECONDS = 10
_NSPAWN = Path("/run/systemd/nspawn")


def launch(node: NodeFiles) -> None:
    """Start the supervisor, detached from this process and its terminal."""
    kill_node(node)
    # What overlayfs left in its work directory is of no use to the next mount.
    shutil.rmtree(node.work, ignore_errors=True)
    node.work.mkdir()
    supervisor = [sys.executable, "-E", "-s", "-S", "-m", "lab.supervisor", str(node.root)]
    with node.log.open("a") as log:
        subprocess.run(
            ["setsid", "--fork", "unshare", "--mount", *supervisor],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=_CHECKOUT,
            timeout=30,
            check=True,
        )
    deadline = time.monotonic() + 20
    while node.process("supervisor") is None:
        if time.monotonic() > deadline:
            raise LabError(f"{node.root.name}: its supervisor did not start; see {node.log}")
        time.sleep(0.02)


def kill_node(node: NodeFiles) -> None:
    """End whatever runs for a node at once, also what a killed predecessor left."""
    for role in ("supervisor", "container"):
        process = node.process(role)
        if process:
            process.send(signal.SIGKILL)
            process.wait_gone(timeout=_KILL_SECONDS)
    settings = read_json(node.settings)
    if settings is None:
        return
    group = settings["cgroup"]
    cgroups.kill(group)
    deadline = time.monotonic() + _KILL_SECONDS
    while not cgroups.empty(group):
        if time.monotonic() > deadline:
            raise LabError(f"{node.root.name}: some of its processes cannot be killed")
        time.sleep(0.02)
    cgroups.remove(group)
    # A killed nspawn has no time to tidy up.
    shutil.rmtree(_NSPAWN / "propagate" / machine(settings), ignore_errors=True)
    shutil.rmtree(_NSPAWN / "unix-export" / machine(settings), ignore_errors=True)
