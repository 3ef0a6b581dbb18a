"""Runs as lines of a list."""

from collections.abc import Iterable
from dataclasses import dataclass

from addons.models import Run
from panel.pages.names import action_title
from panel.pages.state import RUN, Shown, run_shown


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a list. ``word`` is its state, or how far it is while it works."""

    run: Run
    title: str
    shown: Shown
    word: str


def run_lines(runs: Iterable[Run]) -> list[RunLine]:
    """Return the lines of runs from `addons.selectors.runs_listed`."""
    return [_line(run) for run in runs]


def _line(run: Run) -> RunLine:
    shown = run_shown(run)
    working = shown.kind == RUN and run.state == Run.State.RUNNING
    through = f"{getattr(run, 'nodes_through', 0)} of {getattr(run, 'node_count', 0)}"
    return RunLine(run, action_title(run), shown, through if working else shown.word)
