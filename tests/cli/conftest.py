"""A panel of its own for each test that needs real processes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from instances.models import KeyCheck
from instances.vault import key_ring

ROOT = Path(__file__).parents[2]

Manage = Callable[..., "subprocess.CompletedProcess[str]"]


def variables(state: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("REDOUBT_", "COV"))}
    for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
        kept.pop(name, None)
    return {**kept, "REDOUBT_STATE": str(state), "DJANGO_SETTINGS_MODULE": "panel.settings"}


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *words]


def run(state: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*words),
        env=variables(state) | more,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def manage() -> Manage:
    """Run a command of the panel in a state directory, as a terminal would."""
    return run


@pytest.fixture(scope="session")
def new_panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panel that was set up once, to be copied."""
    path = tmp_path_factory.mktemp("new") / "state"
    done = run(path, "setup", "--no-static")
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def state(tmp_path: Path, new_panel: Path) -> Path:
    """A panel that is set up."""
    return Path(shutil.copytree(new_panel, tmp_path / "state"))


@pytest.fixture
def ready(db: None) -> None:
    """The test database as `setup` leaves it."""
    KeyCheck.objects.create(token=key_ring().check_token())


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def call(ready: None, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command in this process, on the test database."""

    def call(*words: str) -> Said:
        out, err, status = StringIO(), StringIO(), 0
        try:
            call_command(*words, stdout=out, stderr=err, no_color=True)
        except SystemExit as end:
            status = int(str(end.code))
        except CommandError as error:
            status = error.returncode
            err.write(str(error))
        printed = capsys.readouterr()
        return Said(status, out.getvalue() + printed.out, err.getvalue() + printed.err)

    return call
