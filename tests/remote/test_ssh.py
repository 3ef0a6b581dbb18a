"""What an SSH login refuses, and how it says so. Against a real sshd."""

import dataclasses
import io
import logging
import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from instances.nodeconf.command import Command
from instances.remote.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostKeyChanged,
    HostKeyUnknown,
    RemoteError,
    SudoRefused,
    Unreachable,
)
from instances.remote.host_key import fingerprint, scan_host_key
from instances.remote.keys import generate_ed25519
from instances.remote.ssh import SshHost, SshTarget
from instances.secret import Secret
from tests.remote.sshd import Sshd, free_port, running_sshd

pytestmark = pytest.mark.processes


def test_a_changed_host_key_stops_before_the_login(sshd: Sshd) -> None:
    other = generate_ed25519("")[1]
    with pytest.raises(HostKeyChanged) as raised:
        SshHost.open(dataclasses.replace(sshd.target, host_key=other))
    assert fingerprint(sshd.host_key) in raised.value.message
    assert fingerprint(other) in raised.value.message


def test_a_missing_host_key_type_counts_as_changed(sshd: Sshd) -> None:
    with pytest.raises(HostKeyChanged) as raised:
        SshHost.open(dataclasses.replace(sshd.target, host_key="ecdsa-sha2-nistp256 AAAA"))
    assert raised.value.reason == "HostKeyTypeGone"


def test_an_unconfirmed_machine_gets_no_connection() -> None:
    nobody = dataclasses.replace(_target(1), host_key="")
    with pytest.raises(HostKeyUnknown):
        SshHost.open(nobody)


def test_a_jump_host_is_pinned_too(sshd: Sshd, strict_sshd: Sshd) -> None:
    jump = dataclasses.replace(strict_sshd.target, name="jump", host_key=sshd.host_key)
    with pytest.raises(HostKeyChanged) as raised:
        SshHost.open(dataclasses.replace(sshd.target, jump=jump))
    assert raised.value.node == "jump"


def test_an_unknown_key_is_refused(sshd: Sshd) -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        SshHost.open(dataclasses.replace(sshd.target, private_key=generate_ed25519("")[0]))
    assert "authorized_keys" in raised.value.next_step


def test_an_unusable_key_is_named(sshd: Sshd) -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        SshHost.open(dataclasses.replace(sshd.target, private_key=Secret("nonsense")))
    assert raised.value.reason == "PrivateKeyUnusable"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_every_kind_of_key_logs_in(kind: str, tmp_path: Path) -> None:
    with running_sshd(tmp_path) as sshd:
        private = _keygen(tmp_path / "user", kind)
        (tmp_path / "authorized_keys").write_text((tmp_path / "user.pub").read_text())
        with closing(SshHost.open(dataclasses.replace(sshd.target, private_key=private))) as host:
            assert host.run(Command(("true",))).code == 0


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_every_kind_of_host_key_is_pinned(kind: str, tmp_path: Path) -> None:
    _keygen(tmp_path / "other", kind)
    with running_sshd(tmp_path, host_key=tmp_path / "other") as sshd:
        shown = scan_host_key("127.0.0.1", sshd.port)
        target = dataclasses.replace(sshd.target, host_key=shown.line)
        with closing(SshHost.open(target)) as host:
            assert host.run(Command(("true",))).code == 0


def test_a_closed_port_is_refused() -> None:
    with pytest.raises(Unreachable) as raised:
        SshHost.open(_target(free_port()))
    assert raised.value.reason == "ConnectionRefused"


def test_a_port_that_says_nothing_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Unreachable) as raised:
        SshHost.open(_target(server.getsockname()[1]), login_timeout=0.3)
    assert raised.value.reason == "HandshakeFailed"


def test_a_port_that_is_not_ssh_is_told(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(Unreachable) as raised:
            SshHost.open(_target(server.getsockname()[1]))
    assert raised.value.reason == "HandshakeFailed"


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(Unreachable) as raised:
        SshHost.open(dataclasses.replace(_target(22), address="no-such-host.invalid"))
    assert raised.value.reason in {"NameNotFound", "ConnectFailed"}


def test_a_refused_sudo_is_told_from_a_lost_connection(tmp_path: Path) -> None:
    # The login user's PATH holds a sudo that refuses, as the real one does without a rule.
    (tmp_path / "sudo").write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    (tmp_path / "sudo").chmod(0o755)
    with (
        running_sshd(tmp_path, path=f"{tmp_path}:/usr/bin:/bin") as sshd,
        pytest.raises(SudoRefused) as raised,
    ):
        SshHost.open(dataclasses.replace(sshd.target, use_sudo=True))
    assert "sudoers.d" in raised.value.next_step


def test_a_missing_bash_is_told(tmp_path: Path) -> None:
    with running_sshd(tmp_path, path=str(tmp_path)) as sshd, pytest.raises(ConnectionLost):
        SshHost.open(sshd.target)


def test_an_ended_sshd_session_is_told(sshd: Sshd) -> None:
    with closing(SshHost.open(sshd.target)) as host:
        parent = f"read -r _ _ _ p _ </proc/{host.shell.pid}/stat; kill -KILL $p"
        with pytest.raises(ConnectionLost):
            host.run_all([Command(("bash", "-c", parent)), Command(("sleep", "5"))])


def test_twenty_machines_are_opened_at_once(sshd: Sshd) -> None:
    def greet(number: int) -> str:
        with closing(SshHost.open(sshd.target)) as host:
            return host.run(Command(("echo", str(number)))).text

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(greet, range(20))) == [f"{number}\n" for number in range(20)]


def test_no_thread_and_no_descriptor_is_left_behind(sshd: Sshd) -> None:
    def once() -> None:
        with closing(SshHost.open(sshd.target)) as host:
            host.run(Command(("true",)))
            host.connect("127.0.0.1", sshd.port).close()

    once()
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        once()
    for thread in set(threading.enumerate()) - threads:
        thread.join(2)
    assert set(threading.enumerate()) <= threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_nothing_is_logged_or_printed(sshd: Sshd, capfd: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        for broken in ({"host_key": generate_ed25519("")[1]}, {"private_key": Secret("x")}):
            with pytest.raises(RemoteError):
                SshHost.open(dataclasses.replace(sshd.target, **broken))
    finally:
        logging.getLogger().removeHandler(handler)
    assert log.getvalue() == ""
    assert "Traceback" not in capfd.readouterr().err


def test_a_scan_shows_the_key_without_a_login(sshd: Sshd) -> None:
    key = scan_host_key("127.0.0.1", sshd.port)
    assert (key.type, key.line) == ("ssh-ed25519", sshd.host_key.strip())
    listed = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=key.line.encode(), capture_output=True, check=True
    )
    assert listed.stdout.split()[1].decode() == key.fingerprint_sha256


def _target(port: int) -> SshTarget:
    private, public = generate_ed25519("")
    return SshTarget("redis-1", "127.0.0.1", port, "root", private, public)


def _keygen(path: Path, kind: str) -> Secret:
    argv = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", str(path)]
    subprocess.run(argv, check=True)
    return Secret(path.read_text())
