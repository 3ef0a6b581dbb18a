"""Nodes as lines of a list."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from addons.health import rows_on
from addons.models import NodeInstallation
from instances.models import Node
from panel.pages.overview import ENCRYPTION
from panel.pages.state import OK, UNKNOWN, Shown, node_shown, row_shown

NOT_INSTALLED = Shown(UNKNOWN, "Not installed")


@dataclass(frozen=True, slots=True)
class NodeLine:
    """A node in a list.

    Args:
        shown: How far the panel knows it.
        encrypted: What was last seen of its encryption.
        ends: When the certificate that it was verified with ends.
    """

    node: Node
    shown: Shown
    encrypted: Shown
    ends: datetime | None


def node_lines(nodes: Iterable[Node]) -> list[NodeLine]:
    """Return the lines of nodes from `instances.selectors.nodes_listed`."""
    shown = list(nodes)
    rows = {row.node_id: row for row in rows_on(ENCRYPTION, shown)}
    return [_line(node, rows.get(node.pk)) for node in shown]


def _line(node: Node, row: NodeInstallation | None) -> NodeLine:
    encrypted = row_shown(row, row.installation) if row else NOT_INSTALLED
    ends = row.not_after if row and encrypted.kind == OK else None
    return NodeLine(node, node_shown(node), encrypted, ends)
