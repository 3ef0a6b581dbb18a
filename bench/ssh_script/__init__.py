"""A hand-written script: certificates by openssl, one ssh process for each node, all at once."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.contender import InstallFailed
from bench.usage import Usage
from lab import LabNode

_SCRIPT = Path(__file__).parent / "install-all.sh"


class SshScript:
    """The script of this directory.

    Args:
        work: A directory for what it makes.
    """

    name = "ssh_script"

    def __init__(self, work: Path) -> None:
        self._work = work
        self._known_hosts = work.with_name("known_hosts")
        self._nodes: Sequence[LabNode] = ()

    def prepare(self, nodes: Sequence[LabNode]) -> None:
        """Learn the host keys, as an operator has them who has logged in before."""
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        scan = ["ssh-keyscan", "-T", "10", "-t", "ed25519", *(node.address for node in nodes)]
        scanned = subprocess.run(scan, capture_output=True, check=True)
        self._known_hosts.write_bytes(scanned.stdout)
        self._nodes = nodes

    def install(self) -> Usage:
        """Run it; every process that it starts is waited for and so is on its account."""
        hosts = "".join(f"{node.name} {node.address}\n" for node in self._nodes)
        argv = map(str, (_SCRIPT, self._work, self._nodes[0].identity, self._known_hosts))
        with (self._work / "log").open("wb") as log:
            began = time.perf_counter()
            script = subprocess.Popen([*argv], stdin=subprocess.PIPE, stdout=log, stderr=log)
            assert script.stdin is not None
            script.stdin.write(hosts.encode())
            script.stdin.close()
            _, status, used = os.wait4(script.pid, 0)
            wall = time.perf_counter() - began
        script.returncode = os.waitstatus_to_exitcode(status)
        if script.returncode:
            raise InstallFailed((self._work / "log").read_text())
        return Usage(wall, used.ru_utime + used.ru_stime)

    def authority(self) -> str:
        """Return what the script's openssl made."""
        return (self._work / "ca.crt").read_text()
