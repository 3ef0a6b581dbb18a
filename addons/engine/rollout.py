"""In which order nodes are changed."""

from collections.abc import Callable, Iterator, Sequence
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

    def waves(self, nodes: Sequence[T], queue: Callable[[T], str]) -> Iterator[Sequence[T]]:
        """Yield the nodes in groups; each group waits for the one before it.

        Args:
            queue: Says who of them must not be in a group together; empty for with whoever.
        """
        yield from _apart(nodes[: self.canary], self.canary, queue)
        yield from _apart(nodes[self.canary :], self.wave, queue)


def _apart(nodes: Sequence[T], size: int, queue: Callable[[T], str]) -> Iterator[Sequence[T]]:
    left = list(nodes)
    while left:
        wave: list[T] = []
        waiting: list[T] = []
        taken: set[str] = set()
        for node in left:
            word = queue(node)
            fits = len(wave) < size and word not in taken
            (wave if fits else waiting).append(node)
            # Whoever has to wait is not overtaken by others of its queue.
            taken |= {word} - {""}
        yield wave
        left = waiting
