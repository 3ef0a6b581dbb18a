"""Where plans wait for each other: the steps that all nodes take at one moment."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar

from addons.engine.step import Step
from addons.engine.work import Reached

N = TypeVar("N")

Leg = Sequence[tuple[Reached[N], Sequence[Step[N]]]]
"""Each node's steps up to where all of them wait."""


def legs(nodes: Sequence[Reached[N]]) -> list[Leg[N]]:
    """Part the nodes' plans where they wait for each other.

    Every second leg is one step that is taken together; the first and the last are not, and may be
    without steps.
    """
    parted = [_parts(node.plan.steps) for node in nodes]
    return [list(zip(nodes, leg, strict=True)) for leg in zip_longest(*parted, fillvalue=())]


def together(at: int) -> bool:
    """Say whether the leg at this place is taken together."""
    return at % 2 == 1


def _parts(steps: Sequence[Step[N]]) -> list[Sequence[Step[N]]]:
    parts: list[list[Step[N]]] = [[]]
    for step in steps:
        if step.together:
            parts += [[step], []]
        else:
            parts[-1].append(step)
    return list(parts)
