"""One run as its page shows it, whatever state it is in."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from addons.catalogue import Action
from addons.models import Run, RunNode, StepRecord
from addons.selectors import nodes_awaited, nodes_of_runs, records_of_runs
from panel.pages.board import Board, board
from panel.pages.names import action_of
from panel.pages.preview import NodePreview, interruption, previews
from panel.pages.state import Shown, run_shown

_Kind = StepRecord.Kind
_TONES = {
    _Kind.FAILED: "bad",
    _Kind.UNDO_FAILED: "bad",
    _Kind.UNDONE: "wait",
    _Kind.HELD: "wait",
    _Kind.VERIFIED: "ok",
}

_ABOUT_OTHERS = frozenset(
    {
        *("BacklogTooSmall", "LinkDown", "MemberDown", "MixedVersions", "NobodyTakesOver"),
        *("NotBackAmongOthers", "NotHandedOver", "NotHealthy", "OutsideGroup"),
        *("ClusterDown", "ClusterElsewhere", "ClusterOtherGroup", "ClusterSilent"),
        *("ClusterStrangers", "TwoClusters", "SentinelStates", "SentinelWatches"),
    }
)
"""Reasons of failures that the picture of who belongs together helps to understand."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of what happened."""

    record: StepRecord
    tone: str


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run.

    Args:
        version: Changes when anything on the page does: a poll that brings the same gets nothing.
        began: Whether a worker has touched nodes, so that there is something to watch.
        attempts: How many workers have worked on it since; the preview's do not count.
        held: What the run holds now, such as a failover, each sentence once.
        awaits: A node of a queued run whose machine another run has; None where it only waits for
            a worker.
    """

    run: Run
    action: Action
    shown: Shown
    doing: str
    nodes: Sequence[RunNode]
    board: Board
    story: Sequence[Sentence]
    previews: Sequence[NodePreview]
    interruption: Shown
    version: str
    began: bool
    attempts: int
    held: Sequence[str]
    awaits: RunNode | None

    @property
    def polls(self) -> bool:
        """Whether the page asks again by itself."""
        return not self.run.ended

    @property
    def about_others(self) -> bool:
        """Whether it failed for what is between servers, so that their picture helps."""
        return self.run.failure.get("reason") in _ABOUT_OTHERS

    @property
    def repeatable(self) -> bool:
        """Whether it failed, so that another attempt can be asked for."""
        return self.run.state in Run.REPEATABLE

    @property
    def changes(self) -> bool:
        """Whether the preview would change anything at all."""
        return any(each.changes for each in self.previews)


def run_pages(runs: Sequence[Run]) -> list[RunPage]:
    """Read what the pages of runs need; a constant number of queries.

    Args:
        runs: With where they belong, as from `addons.selectors.run_numbered`.
    """
    nodes, records, awaited = nodes_of_runs(runs), records_of_runs(runs), nodes_awaited(runs)
    return [
        _page(run, nodes.get(run.pk, []), records.get(run.pk, []), awaited.get(run.pk))
        for run in runs
    ]


def _page(
    run: Run, nodes: Sequence[RunNode], records: Sequence[StepRecord], awaits: RunNode | None
) -> RunPage:
    looks = previews(nodes)
    action = action_of(run)
    return RunPage(
        run=run,
        action=action,
        shown=run_shown(run),
        doing=_doing(run, action),
        nodes=nodes,
        board=board(run, nodes, records),
        story=[
            Sentence(record, _TONES.get(_Kind(record.kind), ""))
            for record in records
            if record.kind != _Kind.BEFORE
        ],
        previews=looks,
        interruption=interruption(looks),
        version=_version(run, nodes, records, awaits),
        began=run.state not in {Run.State.PREVIEWING, Run.State.PREVIEWED, Run.State.DISCARDED},
        attempts=len({record.attempt for record in records}),
        held=_held(records),
        awaits=awaits,
    )


def _held(records: Sequence[StepRecord]) -> list[str]:
    now: dict[tuple[int | None, str], str] = {}
    for record in records:
        if record.kind == _Kind.HELD:
            now[record.node_id, record.step] = record.says
        elif record.kind == _Kind.RELEASED:
            now.pop((record.node_id, record.step), None)
    return list(dict.fromkeys(now.values()))


def _doing(run: Run, action: Action) -> str:
    if run.state == Run.State.RUNNING:
        return "Stopping" if run.stop_requested else action.doing
    return str(run.get_state_display())


def _version(
    run: Run, nodes: Sequence[RunNode], records: Sequence[StepRecord], awaits: RunNode | None
) -> str:
    parts = [
        run.state,
        str(awaits.node.machine.active_run.run_id if awaits else 0),
        str(run.stop_requested),
        str(run.attempt),
        str(records[-1].pk if records else 0),
        *(f"{row.state}{bool(row.preview)}" for row in nodes),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
