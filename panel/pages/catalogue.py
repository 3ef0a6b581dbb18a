"""The catalogue, and the node groups that an add-on is on or could go on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from addons.catalogue import AddOn, all_addons
from addons.health import Counts, group_counts
from addons.selectors import groups_at_work, groups_by_addon
from instances.models import NodeGroup
from panel.pages.state import BAD, OK, UNKNOWN, Shown


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """An add-on, and on how many node groups it is."""

    addon: AddOn
    groups: int


@dataclass(frozen=True, slots=True)
class Place:
    """A node group as somewhere an add-on is or could be.

    Args:
        size: How many nodes it has.
        installed: Whether the add-on is on it.
        at_work: Whether a run there has begun, for which another one would wait.
    """

    group: NodeGroup
    size: int
    installed: bool
    at_work: bool
    shown: Shown


def catalogue() -> list[CatalogueEntry]:
    """Return every add-on."""
    on = groups_by_addon()
    return [CatalogueEntry(addon, on.get(addon.slug, 0)) for addon in all_addons()]


def places(groups: Iterable[NodeGroup], addon: AddOn, now: datetime) -> list[Place]:
    """Return node groups with their state; the same few queries however many they are.

    Args:
        groups: Each with ``node_count``.
        now: The present time.
    """
    among = list(groups)
    counts, busy = group_counts(addon.slug, among, now), groups_at_work(among)
    return [_place(group, counts.get(group.pk), group.pk in busy) for group in among]


def _place(group: NodeGroup, counts: Counts | None, at_work: bool) -> Place:  # noqa: FBT001
    size = getattr(group, "node_count", 0)
    return Place(group, size, counts is not None, at_work, _shown(size, counts))


def _shown(size: int, counts: Counts | None) -> Shown:
    """Return the state of the whole; ok only where each node was observed."""
    if not size:
        return Shown(UNKNOWN, "No nodes yet")
    if counts is None:
        return Shown(UNKNOWN, "Not installed")
    if counts.bad:
        return Shown(BAD, f"Installed, {counts.bad} of {size} not as wanted")
    if unseen := size - counts.verified:
        return Shown(UNKNOWN, f"Installed, {unseen} of {size} not observed")
    return Shown(OK, "Installed, verified")
