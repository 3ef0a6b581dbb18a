"""Environments and their groups with their state, for lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, QuerySet, Value

from addons.health import Counts, fleet_counts, fleet_parts, group_counts
from addons.models import Run
from instances.models import Environment, Node, NodeGroup
from panel.pages.state import BAD, OK, UNKNOWN, WAIT, Shown

ENCRYPTION = "encryption"
"""The add-on whose state lists of environments and groups show."""


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in its environment's line.

    Args:
        size: How many nodes it has.
        verified: How many of them were seen as they should be.
        bad: How many were seen otherwise.
        ends: When the first of its verified certificates ends.
    """

    group: NodeGroup
    size: int
    verified: int
    bad: int
    plain: int
    installed: bool
    ends: datetime | None

    @property
    def shown(self) -> Shown:
        """Return the group's state; ok only where each node was observed."""
        if not self.size:
            return Shown(UNKNOWN, "No nodes yet")
        if self.bad:
            return Shown(BAD, f"{self.bad} of {self.size} not as wanted")
        if self.verified == self.size:
            return self._verified
        if not self.installed:
            return Shown(UNKNOWN, "No add-on")
        return Shown(UNKNOWN, f"{self.size - self.verified} of {self.size} not observed")

    @property
    def _verified(self) -> Shown:
        if self.plain:
            return Shown(WAIT, f"{self.plain} of {self.size} in plaintext, as wanted")
        return Shown(OK, "Encrypted, verified")


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
        if bare := bare + sum(line.plain for line in self.groups):
            return Shown(WAIT, f"{_nodes(bare)} without TLS")
        return Shown(OK, "Encrypted")

    @property
    def ends(self) -> datetime | None:
        """Return when the first of its verified certificates ends."""
        return min((line.ends for line in self.groups if line.ends), default=None)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is.

    Args:
        encrypted: Of the nodes.
        done: Runs that succeeded since a moment; `put_back` and `stuck` likewise.
    """

    environments: int
    nodes: int
    encrypted: Counts
    done: int
    put_back: int
    stuck: int


def sizes(since: datetime, now: datetime) -> Sizes:
    """Count in one query: a page has fifteen at most."""
    environments = _number_of(Environment.objects.all(), Value("environments"))
    nodes = _number_of(Node.objects.all(), Value("nodes"))
    runs = _number_of(Run.objects.filter(ended_at__gte=since), F("state"))
    encrypted = fleet_parts(ENCRYPTION, now)
    found = dict(environments.union(nodes, runs, *encrypted, all=True))
    return Sizes(
        environments=found.get("environments", 0),
        nodes=found.get("nodes", 0),
        encrypted=fleet_counts(found),
        done=found.get(Run.State.SUCCEEDED, 0),
        put_back=found.get(Run.State.PUT_BACK, 0),
        stuck=found.get(Run.State.STUCK, 0),
    )


def _number_of(rows: QuerySet[Any], kind: Value | F) -> Any:
    kinds = rows.order_by().values(kind=kind)
    return kinds.annotate(number=Count("pk")).values_list("kind", "number")


def environment_lines(environments: Iterable[Environment], now: datetime) -> list[EnvironmentLine]:
    """Bring environments and what was observed on their nodes together.

    Args:
        environments: From `instances.selectors.environments_with_groups`.
        now: The present time.
    """
    shown = list(environments)
    counts = group_counts(ENCRYPTION, (group for each in shown for group in each.groups.all()), now)
    return [
        EnvironmentLine(each, [_line(group, counts.get(group.pk)) for group in each.groups.all()])
        for each in shown
    ]


def group_lines(groups: Iterable[NodeGroup], now: datetime) -> list[GroupLine]:
    """Bring groups and what was observed on their nodes together.

    Args:
        groups: Each with ``node_count``.
        now: The present time.
    """
    shown = list(groups)
    counts = group_counts(ENCRYPTION, shown, now)
    return [_line(group, counts.get(group.pk)) for group in shown]


def _line(group: NodeGroup, counts: Counts | None) -> GroupLine:
    return GroupLine(
        group=group,
        size=getattr(group, "node_count", 0),
        verified=counts.verified if counts else 0,
        bad=counts.bad if counts else 0,
        plain=counts.plain if counts else 0,
        installed=counts is not None,
        ends=counts.ends if counts else None,
    )
