"""A real OpenSSH server on a loopback port, with a host key and a configuration of its own."""

import contextlib
import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from instances.remote.keys import generate_ed25519
from instances.remote.ssh import SshTarget
from instances.secret import Secret

SSHD = Path("/usr/sbin/sshd")

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {host_key}
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding {forwarding}
LogLevel ERROR
MaxStartups 100
SetEnv HOME={folder} PATH={path}
"""


@dataclass(frozen=True)
class Sshd:
    port: int
    host_key: str
    private_key: Secret
    process: subprocess.Popen[bytes]

    @property
    def target(self) -> SshTarget:
        return SshTarget(
            name="redis-1",
            address="127.0.0.1",
            port=self.port,
            user=getpass.getuser(),
            private_key=self.private_key,
            host_key=self.host_key,
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with code {process.returncode}")
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")


@contextlib.contextmanager
def running_sshd(
    folder: Path,
    *,
    forwarding: bool = True,
    host_key: Path | None = None,
    path: str = "/usr/bin:/bin",
) -> Iterator[Sshd]:
    if not SSHD.exists():
        raise AssertionError(f"{SSHD} is missing: install the package openssh-server")
    host_private, host_public = generate_ed25519("")
    private, public = generate_ed25519("redoubt")
    port = free_port()
    config = CONFIG.format(
        port=port,
        folder=folder,
        forwarding="yes" if forwarding else "no",
        host_key=host_key or folder / "host_key",
        path=path,
    )
    (folder / "sshd_config").write_text(config)
    (folder / "authorized_keys").write_text(public + "\n")
    (folder / "host_key").touch(0o600)
    (folder / "host_key").write_text(host_private.reveal())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"])
    try:
        wait_for_port(port, process)
        yield Sshd(port, host_public, private, process)
    finally:
        process.terminate()
        process.wait()
