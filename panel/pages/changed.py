"""What Redoubt has changed on a node and would put back: its baselines, in plain sentences."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from addons.models import NodeInstallation
from addons.selectors import records_applied
from instances.models import Node
from panel.pages.board import title_of


@dataclass(frozen=True, slots=True)
class Change:
    """A step that left something on the node.

    Args:
        title: The step, in words.
        says: What it did, as its run recorded it; empty where it did not come so far.
        run: The number of the run that did it.
        at: When; None where that run did not come so far.
    """

    title: str
    says: str
    run: int
    at: datetime | None


def changes_on(node: Node, installed: Iterable[NodeInstallation]) -> list[Change]:
    """Return what is changed on a node now, the latest change of each step.

    Args:
        node: The node.
        installed: Its add-ons, with their baselines: what no layer tells of was put back.
    """
    rows = list(installed)
    latest = {
        step: int(layers[-1]["run"])
        for row in rows
        for step, layers in row.baseline.items()
        if layers
    }
    if not latest:
        return []
    records = records_applied(node, latest.values(), [row.installation_id for row in rows])
    # A re-issue adds nothing to the way back, and still is the latest that was done.
    done = {each.step: each for each in records if each.run_id >= latest.get(each.step, 0)}
    changes = []
    for step, run in latest.items():
        record = done.get(step)
        said, at, by = (record.says, record.at, record.run_id) if record else ("", None, run)
        changes.append(Change(title_of(step), said, by, at))
    return changes
