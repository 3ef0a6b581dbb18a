"""The nodes of a group, as far as each has to know the others: who serves, who watches, where."""

from collections.abc import Iterable
from dataclasses import dataclass

from addons.session import NodeSession
from instances.nodeconf.topology.known import Known
from instances.nodeconf.topology.seen import Role


@dataclass(frozen=True, slots=True)
class Fellows:
    """Names and addresses of a group's nodes.

    Args:
        servers: Of those that hold data.
        sentinels: Of the Sentinels.
    """

    servers: frozenset[str] = frozenset()
    sentinels: frozenset[str] = frozenset()

    @property
    def watched(self) -> bool:
        """Whether the group has Sentinels."""
        return bool(self.sentinels)


def fellows_of(node: NodeSession) -> Fellows:
    """Return the fellows of a node, itself among them, as they were seen last."""
    watching = [each for each in node.brief.fellows if _watches(each)]
    serving = [each for each in node.brief.fellows if not _watches(each)]
    return Fellows(_hosts(serving), _hosts(watching))


def _watches(known: Known) -> bool:
    return known.seen is not None and known.seen.role is Role.SENTINEL


def _hosts(known: Iterable[Known]) -> frozenset[str]:
    return frozenset(host for each in known for host in each.hosts)
