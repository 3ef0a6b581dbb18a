"""What ``manage.py addon status`` says: how an add-on stands on each node of a group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from rich.console import Console

from addons.catalogue import AddOn
from addons.health import counts_since
from addons.models import Installation, NodeInstallation
from instances.models import NodeGroup
from panel.management.terminal import table

_UNKNOWN = {"type": "", "status": "unknown", "message": "Not observed yet."}


@dataclass(frozen=True, slots=True)
class Standing:
    """An add-on on a group.

    Args:
        installation: None where nobody ever asked for it there.
        nodes: Each node of the group: one that was never observed is unknown, not absent.
    """

    group: NodeGroup
    addon: AddOn
    installation: Installation | None
    nodes: Sequence[Mapping[str, Any]]

    @property
    def installed(self) -> bool:
        """Whether it is on."""
        return self.installation is not None and self.installation.generation > 0

    @property
    def well(self) -> bool:
        """Whether nothing is wrong or unknown where it is on."""
        return not self.installed or all(map(_well, self.nodes))

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "environment": self.group.environment.name,
            "group": self.group.name,
            "addon": self.addon.slug,
            "installed": self.installed,
            "generation": self.installation.generation if self.installation else 0,
            "spec": self.installation.spec if self.installation else {},
            "nodes": self.nodes,
        }


def standing_of(group: NodeGroup, addon: AddOn) -> Standing:
    """Return how an add-on stands on a group."""
    found = Installation.objects.filter(group=group, addon=addon.slug).first()
    rows = NodeInstallation.objects.filter(installation=found).defer("baseline")
    seen = {row.node_id: row for row in rows}
    limit = counts_since(timezone.now())
    there = group.nodes.order_by("name")
    nodes = [_node(node.name, seen.get(node.pk), limit) for node in there]
    return Standing(group, addon, found, nodes)


def print_standing(console: Console, standing: Standing) -> None:
    """Print a line for each condition of each node."""
    if not standing.installed:
        console.print(f"{standing.addon.title} is not installed on {standing.group}.")
        return
    lines = [
        (
            row["name"],
            condition["type"],
            _status(condition, row),
            condition["message"],
            str(row["observed_at"] or "never"),
        )
        for row in standing.nodes
        for condition in row["conditions"] or [_UNKNOWN]
    ]
    console.print(table("NODE", "CONDITION", "STATUS", "MESSAGE", "OBSERVED", rows=lines))


def _node(name: str, row: NodeInstallation | None, limit: datetime) -> dict[str, Any]:
    return {
        "stale": bool(row and row.observed_at and row.observed_at <= limit),
        "name": name,
        "observed": row.observed if row else {},
        "conditions": row.conditions if row else [],
        "observed_at": row.observed_at.isoformat() if row and row.observed_at else None,
        "observed_generation": row.observed_generation if row else 0,
    }


def _well(row: Mapping[str, Any]) -> bool:
    conditions = row["conditions"]
    good = bool(conditions) and all(each["status"] == "true" for each in conditions)
    return good and not row["stale"]


def _status(condition: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Return a condition's status; what was good too long ago is not known to be."""
    stale = row["stale"] and condition["status"] == "true"
    return "unknown" if stale else str(condition["status"])
