"""What ``manage.py addon verify`` does: have a group looked at, wait, and say what is there."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from addons.engine.conditions import decisive
from addons.models import NodeInstallation
from addons.watch.services import group_verify, has_drifted
from instances.audit import Actor
from instances.models import NodeGroup
from panel.management.previewing import print_lines
from panel.management.terminal import FAILED, OK
from panel.management.waiting import nodes_looked_at
from panel.pages.state import row_shown

SECONDS = 120.0


def verified(*, actor: Actor, group: NodeGroup, addon: str) -> list[NodeInstallation]:
    """Have a group looked at; return what is on each of its nodes, once all have been or time out.

    Raises:
        NotFound, Conflict, OperationalError: As `group_verify`.
    """
    nodes_looked_at(group_verify(actor=actor, group=group, addon=addon), seconds=SECONDS)
    rows = NodeInstallation.objects.filter(
        installation__group=group, installation__addon=addon, node__archived_at=None
    )
    return list(
        rows.select_related("node", "installation").defer("baseline").order_by("node__name")
    )


def status_of(rows: Sequence[NodeInstallation], asked: datetime) -> int:
    """Return 0 where each node was looked at and is as it should be."""
    return OK if rows and all(_well(row, asked) for row in rows) else FAILED


def row_json(row: NodeInstallation) -> Mapping[str, Any]:
    """Return what was seen on a node, for programs."""
    condition = decisive(row.conditions)
    return {
        "name": row.node.name,
        "status": condition["status"] if condition else "unknown",
        "reason": condition["reason"] if condition else "",
        "message": condition["message"] if condition else "",
        "conditions": row.conditions,
        "drift": row.drift if has_drifted(row) else [],
        "observed": row.observed,
        "observed_at": row.observed_at,
    }


def print_row(console: Console, row: NodeInstallation, asked: datetime) -> None:
    """Print a node's state, and the difference where it has drifted."""
    shown = row_shown(row, row.installation)
    late = "" if _looked_at(row, asked) else " (not looked at in time)"
    console.print(Text(f"{row.node.name}  {shown.word}{late}", style="bold"))
    if shown.why:
        console.print(Text(f"  {shown.why}"))
    if not _looked_at(row, asked) or shown.kind == "unknown":
        console.print(Text(f"  last observed: {row.observed_at or 'never'}"))
    for change in row.drift if has_drifted(row) else ():
        console.print(Text(f"  • {change['place']}"))
        print_lines(console, change["lines"])


def _well(row: NodeInstallation, asked: datetime) -> bool:
    return _looked_at(row, asked) and row_shown(row, row.installation).kind == "ok"


def _looked_at(row: NodeInstallation, asked: datetime) -> bool:
    return row.node.looked_at is not None and row.node.looked_at >= asked
