"""The one command that runs the panel, with real processes."""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Manage, command, variables

pytestmark = [pytest.mark.timeout(60), pytest.mark.processes]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def panel(state: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        command("start", "--port", str(port), "--workers", "1", "--concurrency", "1"),
        env=variables(state),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        _wait_until(lambda: _healthy(port), seconds=30)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _wait_until(holds: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.1)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _processes_of(state: Path) -> dict[int, str]:
    """Every living process whose environment or command line names the state directory."""
    mark, found = str(state).encode(), {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
            if mark in line or mark in (entry / "environ").read_bytes():
                found[int(entry.name)] = line.replace(b"\0", b" ").decode()
        except OSError:
            continue
    return {pid: line for pid, line in found.items() if line}


def _names(state: Path) -> str:
    return " ".join(_processes_of(state).values())


def _assert_not_restored_over(state: Path, manage: Manage) -> None:
    """What is restored under a running panel would be mixed with what it writes."""
    phrase, file = state / "phrase", str(state / "backup")
    phrase.write_text("correct horse battery")
    words = ("--passphrase-file", str(phrase))
    assert manage(state, "backup", file, *words).returncode == 0
    refused = manage(state, "restore", file, *words, "--force")
    assert refused.returncode == 1
    assert "Stop that one first." in refused.stderr


def test_one_command_runs_web_worker_beat_and_broker(
    panel: "subprocess.Popen[bytes]", state: Path, manage: Manage
) -> None:
    for part in ("gunicorn", "panel.supervisor.worker", "beat", "redis-server"):
        assert part in _names(state)
    socket_file = state / "broker.sock"
    assert socket_file.stat().st_mode & 0o777 == 0o700
    secrets = (state / "secret_key").read_text().strip(), (state / "keys.json").read_text()
    assert not any(secret in _names(state) for secret in secrets)
    second = manage(state, "start", "--port", "1")
    assert second.returncode == 1
    assert f"process {panel.pid}" in second.stderr
    _assert_not_restored_over(state, manage)
    panel.terminate()
    assert panel.wait(timeout=25) == 143
    assert _processes_of(state) == {}
    assert panel.stdout is not None
    assert b"Redoubt is ready: http://127.0.0.1:" in panel.stdout.read()


def test_nothing_outlives_a_killed_supervisor(
    panel: "subprocess.Popen[bytes]", state: Path
) -> None:
    _wait_until(lambda: len(_processes_of(state)) > 5, seconds=20)
    panel.kill()
    panel.wait()
    _wait_until(lambda: _processes_of(state) == {}, seconds=20)


_STACK = """
import os, sys
from panel.supervisor.services import Service
from panel.supervisor.stack import Stack
services = [Service(name, ["sh", "-c", script]) for name, script in zip("abc", sys.argv[1:])]
stack = Stack(
    services,
    variables={each.name: os.environ for each in services},
    cwd="/",
    started=lambda say: say("all started"),
)
sys.exit(stack.run())
"""


def _stack(tmp_path: Path, *scripts: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", _STACK, *scripts],
        env=variables(tmp_path) | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.parametrize("status", [0, 3])
def test_all_stops_with_an_error_when_one_process_ends(tmp_path: Path, status: int) -> None:
    process = _stack(tmp_path, "exec sleep 60", f"sleep 0.2; exit {status}")
    said, _ = process.communicate(timeout=20)
    assert process.returncode == (status or 1), said
    assert _processes_of(tmp_path) == {}


def test_the_broker_is_stopped_when_the_others_have_finished(tmp_path: Path) -> None:
    slow = f"trap 'sleep 0.4; test -e {tmp_path}/gone || echo in-time; exit 0' TERM; {_WAITS}"
    stack = _STACK.replace('"abc"', '["broker", "worker"]')
    broker = f"trap 'touch {tmp_path}/gone; exit 0' TERM; {_WAITS}"
    process = subprocess.Popen(
        [sys.executable, "-c", stack, broker, slow],
        env=variables(tmp_path) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    while b"all started" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"in-time" in said


_WAITS = "while :; do sleep 0.1; done"
