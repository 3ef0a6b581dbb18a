"""The process that stands behind a node: it boots it, and boots it again when it reboots.

Started as ``python -m lab.supervisor DIRECTORY`` in a mount namespace of its own, so the node's
overlay is unmounted when the supervisor ends, however it ends. The node's network namespace
belongs to nspawn's process in the same way, and nspawn is killed with its parent.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from lab import cgroups
from lab.commands import run
from lab.network import LabNetwork
from lab.processes import ProcessIdentity
from lab.spec import POWER_OFF_SECONDS
from lab.state import NodeFiles, machine, try_lock

# How nspawn says that the system inside asked for a reboot.
REBOOT = 133

# Waits for its cable before it becomes nspawn, keeping process id and network namespace.
_WAIT_FOR_CABLE = 'echo ready; read -r _; exec "$@" </dev/null >>"$0" 2>&1'


def nspawn_command(node: NodeFiles, settings: dict[str, Any]) -> list[str]:
    """The argument list that boots a node's disk in the network namespace it is run in."""
    fuse = ["--bind=/dev/fuse"] if Path("/dev/fuse").exists() else []
    return [
        *("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--boot"),
        *("-D", str(node.merged), f"--hostname={settings['spec']['name']}"),
        f"--machine={machine(settings)}",
        "--network-namespace-path=/proc/self/ns/net",
        "--capability=CAP_NET_ADMIN",
        *("--console=passive", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        *fuse,
    ]


def boot(node: NodeFiles, settings: dict[str, Any]) -> "subprocess.Popen[str]":
    """Start the node once and record its process."""
    wait = ["sh", "-c", _WAIT_FOR_CABLE, str(node.log)]
    argv = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", *wait]
    # Mixed hosts would give the node the old control groups, which systemd 256 refuses.
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    container = subprocess.Popen(
        [*argv, *nspawn_command(node, settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert container.stdin is not None
    assert container.stdout is not None
    container.stdout.readline()
    network = LabNetwork(settings["subnet"])
    network.plug(settings["index"], container.pid, connected=not node.cut.exists())
    node.record("container", ProcessIdentity.of(container.pid))
    container.stdin.close()
    return container


def mount_disk(node: NodeFiles, layers: list[str]) -> None:
    options = f"lowerdir={':'.join(layers)},upperdir={node.upper},workdir={node.work}"
    run(["mount", "-t", "overlay", "overlay", "-o", options, str(node.merged)])


def supervise(node: NodeFiles) -> None:
    """Keep the node up until it powers off or is told to."""
    lock = try_lock(node.root / "supervisor.lock")
    if lock is None:
        # A killed `up` had started one already, which just had not come to record itself.
        return
    settings = node.read_settings()
    node.record("supervisor", ProcessIdentity.of(os.getpid()))
    cgroups.join(settings["cgroup"])
    mount_disk(node, settings["layers"])
    stopping = False

    def power_off(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        # nspawn asks the init inside for a clean power-off when it is terminated.
        container.terminate()
        signal.alarm(POWER_OFF_SECONDS)

    container = boot(node, settings)
    signal.signal(signal.SIGTERM, power_off)
    signal.signal(signal.SIGALRM, lambda _number, _frame: container.kill())
    while container.wait() == REBOOT and not stopping:
        container = boot(node, settings)


if __name__ == "__main__":
    supervise(NodeFiles(Path(sys.argv[1])))
