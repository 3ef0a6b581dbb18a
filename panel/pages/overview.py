"""Environments and their groups with their state, for lists."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from addons.models import NodeInstallation
from instances.models import Environment, NodeGroup
from panel.pages.state import BAD, OK, UNKNOWN, WAIT, Shown, row_shown


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in its environment's line.

    Args:
        size: How many nodes it has.
        verified: How many of them were seen as they should be.
        bad: How many were seen otherwise.
    """

    group: NodeGroup
    size: int
    verified: int
    bad: int
    installed: bool

    @property
    def shown(self) -> Shown:
        """Return the group's state; ok only where each node was observed."""
        if not self.size:
            return Shown(UNKNOWN, "No nodes yet")
        if self.bad:
            return Shown(BAD, f"{self.bad} of {self.size} not as wanted")
        if self.verified == self.size:
            return Shown(OK, "Encrypted, verified")
        if not self.installed:
            return Shown(UNKNOWN, "No add-on")
        return Shown(UNKNOWN, f"{self.size - self.verified} of {self.size} not observed")


@dataclass(frozen=True, slots=True)
class EnvironmentLine:
    """An environment with its groups."""

    environment: Environment
    groups: Sequence[GroupLine]

    @property
    def shown(self) -> Shown:
        """Return the environment's state."""
        size = sum(line.size for line in self.groups)
        if not size:
            return Shown(UNKNOWN, "No nodes yet")
        if bad := sum(line.bad for line in self.groups):
            return Shown(BAD, f"{_nodes(bad)} not as wanted")
        bare = sum(line.size for line in self.groups if not line.installed)
        if bare == size:
            return Shown(UNKNOWN, "Nothing installed")
        unseen = sum(line.size - line.verified for line in self.groups if line.installed)
        if unseen:
            return Shown(UNKNOWN, f"{_nodes(unseen)} not observed")
        if bare:
            return Shown(WAIT, f"{_nodes(bare)} without TLS")
        return Shown(OK, "Encrypted")


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def environment_lines(
    environments: Iterable[Environment], observed: Iterable[NodeInstallation]
) -> list[EnvironmentLine]:
    """Bring environments and what was observed on their nodes together.

    Args:
        environments: From `instances.selectors.environments_found`.
        observed: From `addons.selectors.observations`.
    """
    kinds: defaultdict[int, list[str]] = defaultdict(list)
    for row in observed:
        if row.installation.addon == "encryption":
            kinds[row.installation.group_id].append(row_shown(row, row.installation).kind)
    return [
        EnvironmentLine(each, [_line(group, kinds[group.pk]) for group in each.groups.all()])
        for each in environments
    ]


def _line(group: NodeGroup, kinds: Sequence[str]) -> GroupLine:
    return GroupLine(
        group=group,
        size=getattr(group, "node_count", 0),
        verified=kinds.count(OK),
        bad=kinds.count(BAD),
        installed=bool(kinds),
    )
