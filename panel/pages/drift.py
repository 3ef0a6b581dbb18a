"""What was found on a node other than wanted, and what a person can do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from addons.models import NodeInstallation
from addons.watch.services import has_drifted, row_acceptable
from panel.pages.preview import ShownChange, shown_line


@dataclass(frozen=True, slots=True)
class Drift:
    """The differences on one node.

    Args:
        accept: Setting and value, where what was found could become the wanted.
    """

    changes: Sequence[ShownChange]
    accept: Sequence[tuple[str, str]]


def drift_shown(row: NodeInstallation) -> Drift | None:
    """Return what differed at the latest look; None where nothing did. Reads ``installation``."""
    if not has_drifted(row):
        return None
    changes = [
        ShownChange(
            title=change["place"],
            says="",
            lines=[shown_line(line["kind"], line["text"]) for line in change["lines"]],
        )
        for change in row.drift
    ]
    return Drift(changes, list(row_acceptable(row).items()))
