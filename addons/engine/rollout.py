"""In which order nodes are changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rollout:
    """A canary first, then waves.

    Args:
        canary: How many nodes go first, alone: what fails, fails on these.
        wave: How many nodes are changed at the same time after that.
    """

    canary: int = 1
    wave: int = 25

    def waves(self, nodes: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield the nodes in groups; each group waits for the one before it."""
        if nodes[: self.canary]:
            yield nodes[: self.canary]
        for start in range(self.canary, len(nodes), self.wave):
            yield nodes[start : start + self.wave]
