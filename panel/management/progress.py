"""A run as it goes on, for people: sentences as they come, and a table on a terminal."""

from collections.abc import Sequence
from typing import Self

from django.utils import timezone
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from addons.models import Run, RunNode, StepRecord
from panel.management.terminal import table

_Kind, _State = StepRecord.Kind, RunNode.State
_MARKS = {
    _Kind.APPLIED: ("✓", "green"),
    _Kind.SKIPPED: ("=", "dim"),
    _Kind.FAILED: ("✗", "red"),
    _Kind.HELD: ("·", "yellow"),
    _Kind.RELEASED: ("✓", "green"),
    _Kind.UNDONE: ("↩", "yellow"),
    _Kind.UNDO_FAILED: ("✗", "red"),
    _Kind.VERIFIED: ("✓", "green"),
    _Kind.NOTE: ("·", "dim"),
}
_COLOURS = {
    _State.RUNNING: "cyan",
    _State.DONE: "green",
    _State.UNCHANGED: "green",
    _State.FAILED: "red",
    _State.PUT_BACK: "yellow",
    _State.STUCK: "red",
}
NODE_STATES = {
    _State.WAITING: "waiting",
    _State.RUNNING: "running",
    _State.DONE: "done",
    _State.UNCHANGED: "unchanged",
    _State.FAILED: "failed",
    _State.PUT_BACK: "put back",
    _State.STUCK: "stuck",
}


class Silence:
    """Shows nothing: what is printed at the end is for programs.

    Args:
        warnings: Where a word about a missing worker goes.
    """

    def __init__(self, warnings: Console) -> None:
        self._warnings = warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def saw(self, run: Run, nodes: Sequence[RunNode], records: Sequence[StepRecord]) -> None:
        """Show nothing."""

    def untaken(self, run: Run) -> None:
        """Say that no worker has taken the run."""
        self._warnings.print(
            f"No worker has taken run {run.pk} yet: others may be ahead of it, or the panel does "
            "not run (`manage.py start`)."
        )


class Progress(Silence):
    """Prints each record; on a terminal a table of the nodes stands beneath."""

    def __init__(self, console: Console, warnings: Console) -> None:
        super().__init__(warnings)
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def saw(self, run: Run, nodes: Sequence[RunNode], records: Sequence[StepRecord]) -> None:
        """Print the new records, and draw the table again."""
        for record in records:
            self._console.print(sentence(record))
        if self._console.is_terminal:
            self._live.update(_table(run, nodes))


def sentence(record: StepRecord) -> Text:
    """Return one record as a line: when, where, what."""
    mark, colour = _MARKS.get(_Kind(record.kind), ("·", "dim"))
    node = record.node.name if record.node else ""
    line = Text(f"{timezone.localtime(record.at):%H:%M:%S}  {node:<16} ")
    line.append(f"{mark} {record.says or record.step}", style=colour)
    return line


def summary(run: Run, nodes: Sequence[RunNode]) -> Table:
    """Return how each node ended."""
    rows = [(row.node.name, NODE_STATES[_State(row.state)], _seconds(row)) for row in nodes]
    made = table("NODE", "STATE", "SECONDS", rows=rows)
    made.title = f"Run {run.pk}: {run.get_state_display()}"
    made.title_justify = "left"
    return made


def _table(run: Run, nodes: Sequence[RunNode]) -> Table:
    made = table("NODE", "STATE", "SECONDS", rows=[])
    made.title = f"Run {run.pk}: {run.get_state_display()}"
    made.title_justify = "left"
    for row in nodes:
        state = _State(row.state)
        made.add_row(
            row.node.name, Text(NODE_STATES[state], style=_COLOURS.get(state, "dim")), _seconds(row)
        )
    return made


def _seconds(row: RunNode) -> str:
    if row.started_at is None:
        return ""
    return f"{((row.ended_at or timezone.now()) - row.started_at).total_seconds():.1f}"
