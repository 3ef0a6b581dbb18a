"""Starts `traffic` beside a test, and brings back what it says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def clients(address: str, *options: str) -> Iterator[list[Any]]:
    """Clients are at work inside the block; their report is in the list after it."""
    report: list[Any] = []
    command = [sys.executable, "-m", "tests.acceptance.traffic", address, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield report
            answer, _ = process.communicate(timeout=120)
            report.append(json.loads(answer))
        finally:
            process.kill()
