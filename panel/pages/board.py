"""A run as a table of nodes by steps, from its stored rows alone: every viewer sees the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from addons.models import Run, RunNode, StepRecord
from panel.pages.state import Shown, run_node_shown

CONNECT, VERIFY = "connect", "verify"
_TITLES: Mapping[str, str] = {"runtime": "Apply", "preflight": "Check"}
_AHEAD = frozenset({"connect", "inspect", "preflight"})
_Kind = StepRecord.Kind
_MARKS = {"done": "✓", "run": "●", "todo": "·", "skip": "—", "bad": "✕", "undone": "↩"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One step on one node.

    Args:
        kind: ``done``, ``run``, ``todo``, ``skip``, ``bad`` or ``undone``.
        text: What it means, for those who do not see the mark.
    """

    kind: str
    text: str

    @property
    def mark(self) -> str:
        """Return what stands in the cell."""
        return _MARKS[self.kind]


DONE = Cell("done", "done")
RUNNING = Cell("run", "under way")
TODO = Cell("todo", "not yet")
SKIPPED = Cell("skip", "nothing to do")
NOT_REACHED = Cell("skip", "not reached")
FAILED = Cell("bad", "failed")
HELD = Cell("run", "held")
RELEASED = Cell("done", "held, and let go")
UNDONE = Cell("undone", "put back")
PROVEN_BACK = Cell("undone", "verified to be as before")
STUCK = Cell("bad", "could not be put back")

_CELLS: Mapping[str, Cell] = {
    _Kind.BEFORE: RUNNING,
    _Kind.APPLIED: DONE,
    _Kind.SKIPPED: SKIPPED,
    _Kind.FAILED: FAILED,
    _Kind.HELD: HELD,
    _Kind.RELEASED: RELEASED,
    _Kind.UNDONE: UNDONE,
    _Kind.UNDO_FAILED: STUCK,
    _Kind.VERIFIED: DONE,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One node of the run."""

    node: str
    address: str
    shown: Shown
    cells: Sequence[tuple[str, Cell]]
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Board:
    """The table, and how far it is in hundredths."""

    columns: Sequence[str]
    rows: Sequence[Row]
    nodes_done: int
    percent: int


def board(run: Run, nodes: Sequence[RunNode], records: Iterable[StepRecord]) -> Board:
    """Lay out a run.

    Args:
        run: The run.
        nodes: Its nodes in order, each with ``node``.
        records: What was recorded, in order.
    """
    known = list(records)
    steps = _steps(nodes, known)
    said = _said(known)
    changing = any(record.step in steps for record in known)
    rows = [_row(run, row, steps, said.get(row.node_id, {}), changing) for row in nodes]
    through = sum(row.shown.kind == "ok" for row in rows)
    cells = [cell for row in rows for _, cell in row.cells]
    ready = sum(cell.kind not in {"todo", "run"} for cell in cells)
    return Board(
        columns=[title_of(step) for step in (CONNECT, *steps, VERIFY)],
        rows=rows,
        nodes_done=through,
        percent=100 * ready // len(cells) if cells else 0,
    )


def title_of(step: str) -> str:
    """Return a step's name as a heading."""
    return _TITLES.get(step, step.replace("_", " ").capitalize())


def _steps(nodes: Sequence[RunNode], records: Sequence[StepRecord]) -> list[str]:
    """Return the keys of the steps between connecting and verifying, in the order of the plan.

    Records know it best, as they hold the steps that were skipped; previews know it before.
    """
    orders: dict[int | None, list[str]] = {}
    for record in records:
        forward = record.kind in {_Kind.BEFORE, _Kind.SKIPPED, _Kind.APPLIED, _Kind.HELD}
        if record.step and forward:
            orders.setdefault(record.node_id, []).append(record.step)
    previews = [[change["step"] for change in row.preview.get("changes", ())] for row in nodes]
    merged: list[str] = []
    for order in sorted([*orders.values(), *previews], key=lambda keys: -len(set(keys))):
        _merge(merged, dict.fromkeys(order))
    return [step for step in merged if step not in {*_AHEAD, VERIFY, "settle"}]


def _merge(merged: list[str], order: Iterable[str]) -> None:
    """Put the keys that are missing behind the one that they follow."""
    place = 0
    for key in order:
        if key in merged:
            place = merged.index(key) + 1
        else:
            merged.insert(place, key)
            place += 1


def _said(records: Iterable[StepRecord]) -> dict[int | None, dict[str, Cell]]:
    """Return the last word on each step of each node."""
    cells: dict[int | None, dict[str, Cell]] = {}
    for record in records:
        cell = _CELLS.get(record.kind)
        if cell is None:
            continue
        of_node = cells.setdefault(record.node_id, {})
        step = CONNECT if record.step in _AHEAD else record.step
        step = VERIFY if step == "settle" else step
        of_node[step] = FAILED if _first_error_stays(of_node.get(step), cell, step) else cell
    return cells


def _first_error_stays(old: Cell | None, new: Cell, step: str) -> bool:
    """A failure stays marked after its put-back, and after the proof of that."""
    return old == FAILED and (new == UNDONE or (new == DONE and step == VERIFY))


def _row(
    run: Run,
    row: RunNode,
    steps: Sequence[str],
    said: Mapping[str, Cell],
    changing: bool,  # noqa: FBT001 -- private
) -> Row:
    reached = bool(said) or changing
    through = row.state in {RunNode.State.DONE, RunNode.State.UNCHANGED}
    open_cell = SKIPPED if through else NOT_REACHED if run.ended else TODO
    ahead = DONE if reached else (RUNNING if run.state in Run.ACTIVE else open_cell)
    cells = {CONNECT: said.get(CONNECT, ahead)}
    cells |= {step: said.get(step, open_cell) for step in steps}
    verified = said.get(VERIFY, open_cell)
    proven_back = verified == DONE and row.state == RunNode.State.PUT_BACK
    cells[VERIFY] = PROVEN_BACK if proven_back else verified
    changed = row.state == RunNode.State.RUNNING and run.state == Run.State.RUNNING
    if changed and RUNNING not in cells.values():
        waiting = next((step for step, cell in cells.items() if cell == TODO), None)
        cells |= {waiting: RUNNING} if waiting else {}
    return Row(
        node=row.node.name,
        address=str(row.node.client_addresses[0]) if row.node.client_addresses else "",
        shown=run_node_shown(row, run),
        cells=[(title_of(step), cell) for step, cell in cells.items()],
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
