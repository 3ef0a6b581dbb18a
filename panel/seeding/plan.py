"""How a made-up fleet is spread: so many nodes over so many environments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product
from random import Random

from panel.seeding.content import APPLICATIONS, GROUPS, REGIONS, STAGES

LARGEST = 500
"""Nodes of the one group that is much larger than the others."""


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """A node group and how many nodes it gets."""

    name: str
    nodes: int


@dataclass(frozen=True, slots=True)
class PlannedEnvironment:
    """An environment and its groups."""

    name: str
    region: str
    groups: Sequence[PlannedGroup]


def fleet_plan(environments: int, nodes: int, chance: Random) -> list[PlannedEnvironment]:
    """Spread nodes over environments.

    The first environment has a group with half of all nodes, but `LARGEST` at most; the others
    share the rest about evenly. The last has no nodes, where there are several.

    Args:
        environments: One at least.
        nodes: Of all of them together.
        chance: Decides what is not said.
    """
    large = min(LARGEST, nodes // 2) if environments > 1 else nodes
    sharing = max(1, environments - 2)
    each, over = divmod(nodes - large, sharing)
    sizes = [large, *(each + (place < over) for place in range(sharing)), 0][:environments]
    if environments == 2:
        sizes = [large, nodes - large]
    return [
        PlannedEnvironment(name, region, _groups(size, chance, whole=place == 0))
        for place, ((name, region), size) in enumerate(zip(_names(), sizes, strict=False))
    ]


def _names() -> Iterator[tuple[str, str]]:
    """Return names with their regions, without end."""
    for number in count(1):
        suffix = "" if number == 1 else f"-{number}"
        for stage, region, application in product(STAGES, REGIONS, APPLICATIONS):
            yield f"{application}-{stage}-{region}{suffix}", region


def _groups(size: int, chance: Random, *, whole: bool) -> list[PlannedGroup]:
    names = chance.sample(GROUPS, k=len(GROUPS))
    parts = min(size, 1) if whole else chance.randint(1, 3) if size else 0
    each, over = divmod(size, parts) if parts else (0, 0)
    sizes = (each + (place < over) for place in range(parts))
    return [PlannedGroup(*group) for group in zip(names, sizes, strict=False)]
