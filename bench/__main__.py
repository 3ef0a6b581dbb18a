"""``python -m bench``: install on fresh nodes by each contender in turn, and compare."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import django
from rich.console import Console

from bench.compare import compare
from bench.contender import Contender, InstallFailed
from bench.ssh_script import SshScript
from bench.verify import NotInstalled
from lab import Lab
from lab.commands import LabError

_DIRECTORY = Path(__file__).resolve().parent.parent / ".bench"
_OF_A_PANEL = ("REDOUBT_KEY_FILE", "REDOUBT_SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 where every install of every round was right."""
    options = _options(arguments)
    console = Console()
    directory: Path = options.directory.resolve()
    try:
        with _panel(directory / "state") as redoubt:
            report = compare(
                Lab(name=options.lab),
                [redoubt, SshScript(directory / "ssh_script")],
                nodes=options.nodes,
                rounds=options.rounds,
                console=console,
            )
    except (InstallFailed, NotInstalled, LabError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    report.write(directory / "results.json")
    report.print(console)
    console.print(f"All numbers: {directory / 'results.json'}", highlight=False)
    return 0


@contextmanager
def _panel(state: Path) -> Iterator[Contender]:
    """Run a new panel that knows nothing of others on this machine."""
    shutil.rmtree(state, ignore_errors=True)
    for name in _OF_A_PANEL:
        os.environ.pop(name, None)
    os.environ["REDOUBT_STATE"] = str(state)
    os.environ["DJANGO_SETTINGS_MODULE"] = "panel.settings"
    django.setup()
    from bench.redoubt import Redoubt, running_panel  # noqa: PLC0415 -- models need the settings

    with running_panel(state) as processes:
        yield Redoubt(processes)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--nodes", type=int, default=20, help="how many nodes to install on")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender installs")
    parser.add_argument("--lab", default="bench", help="the name of the lab that is used")
    parser.add_argument("--directory", type=Path, default=_DIRECTORY, help="where results go")
    options = parser.parse_args(arguments)
    if options.nodes < 1 or options.rounds < 1:
        parser.error("there must be at least one node and one round")
    return options


if __name__ == "__main__":
    sys.exit(main())
