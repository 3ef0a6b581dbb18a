"""What a run would do, as its preview page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from addons.models import RunNode
from panel.pages.board import title_of
from panel.pages.state import OK, WAIT, Shown

_SIGNS = {"add": "+", "del": "-", "context": " ", "hunk": ""}


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line of a difference; its sign is text, so that it can be copied and read aloud."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownChange:
    """What one step would do."""

    title: str
    says: str
    lines: Sequence[ShownLine]


@dataclass(frozen=True, slots=True)
class NodePreview:
    """What would happen on one node.

    Args:
        interrupts: Milliseconds that its clients are expected to be without it.
        delays: Milliseconds that writes are expected to wait.
    """

    pk: int
    name: str
    changes: Sequence[ShownChange]
    warnings: Sequence[Mapping[str, str]]
    interrupts: int
    delays: int
    restarts: bool

    @property
    def summary(self) -> str:
        """Return the line below the node's name."""
        count = len(self.changes)
        if not count:
            return "nothing to change"
        how = "restart" if self.restarts else "live"
        return f"{count} change{'' if count == 1 else 's'} · {how}"


def previews(rows: Sequence[RunNode]) -> list[NodePreview]:
    """Return the preview of each node, in order."""
    return [_preview(row) for row in rows]


def _preview(row: RunNode) -> NodePreview:
    changes: list[dict[str, Any]] = row.preview.get("changes", [])
    return NodePreview(
        pk=row.node_id,
        name=row.node.name,
        changes=[_change(change) for change in changes],
        warnings=row.preview.get("warnings", []),
        interrupts=sum(change["interrupts"] for change in changes),
        delays=sum(change["delays"] for change in changes),
        restarts=any(change["step"] == "restart" or change["interrupts"] for change in changes),
    )


def _change(change: Mapping[str, Any]) -> ShownChange:
    return ShownChange(
        title=title_of(change["step"]),
        says=change["says"],
        lines=[shown_line(line["kind"], line["text"]) for line in change["lines"]],
    )


def shown_line(kind: str, text: str) -> ShownLine:
    """Return a line of a difference with its sign."""
    return ShownLine(kind, _SIGNS.get(kind, "") + text)


def interruption(nodes: Sequence[NodePreview]) -> Shown:
    """Return what clients will notice, over all nodes."""
    restarting = [node for node in nodes if node.restarts]
    if not restarting:
        return Shown(OK, "No restart, no interruption")
    count = len(restarting)
    says = "1 node restarts" if count == 1 else f"{count} nodes restart"
    if gone := max(node.interrupts for node in restarting):
        says += f", about {gone / 1000:g} s without {'it' if count == 1 else 'each'}"
    if waits := max(node.delays for node in restarting):
        says += f"; writes wait about {waits / 1000:g} s"
    return Shown(WAIT, says)
