"""A whole panel in processes of its own, for tests that meet it as its users do."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 40.0


@dataclass(frozen=True)
class LivePanel:
    """A running panel: its address, the environment of its processes, its log."""

    url: str
    env: dict[str, str]
    log: Path

    def manage(self, *argv: str, timeout: float = 120) -> subprocess.CompletedProcess[bytes]:
        """Run a management command beside it."""
        command = [sys.executable, "manage.py", *argv]
        return subprocess.run(command, cwd=ROOT, env=self.env, timeout=timeout, capture_output=True)

    def set_up(self, *commands: Sequence[str]) -> None:
        """Run management commands one after the other; none may fail."""
        lines = "".join(f"{json.dumps(argv)}\n" for argv in commands).encode()
        command = [sys.executable, "-m", "tests.commands"]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, timeout=240, capture_output=True, input=lines
        )
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()

    def run_module(self, *argv: str, timeout: float) -> subprocess.CompletedProcess[bytes]:
        """Run a Python module with the panel's environment."""
        command = [sys.executable, "-m", *argv]
        return subprocess.run(command, cwd=ROOT, env=self.env, timeout=timeout, capture_output=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def process(*argv: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, *argv], cwd=ROOT, env=env, stdout=output, stderr=output
        )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=30)


def clean_environment(state: Path, database: str) -> dict[str, str]:
    """Return the environment of a panel's processes, free of what the tests' own have."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REDOUBT_", "CELERY_", "DATABASE_", "DJANGO_"))
        or name.startswith("REDOUBT_LAB_")
    }
    return {**kept, "REDOUBT_STATE": str(state)} | ({"DATABASE_URL": database} if database else {})


@contextlib.contextmanager
def live_panel(state: Path, *, database: str = "", extra_workers: int = 0) -> Iterator[LivePanel]:
    """Set a panel up and run it until the block ends."""
    env = clean_environment(state, database)
    port = free_port()
    panel = LivePanel(f"http://127.0.0.1:{port}", env, state.parent / f"{state.name}.log")
    ready = panel.manage("setup")
    assert ready.returncode == 0, ready.stderr.decode()
    with contextlib.ExitStack() as stack:
        start = ("manage.py", "start", "--port", str(port), "--workers", "1")
        stack.enter_context(process(*start, env=env, log=panel.log))
        for _ in range(extra_workers):
            worker = ("-m", "panel.supervisor.worker")
            stack.enter_context(process(*worker, env=env, log=panel.log))
        wait_until_healthy(panel)
        yield panel


def wait_until_healthy(panel: LivePanel) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{panel.url}/healthz", timeout=2) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, panel.log.read_text()[-4000:]
            time.sleep(0.2)
