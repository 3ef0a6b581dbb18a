"""A node's part in a run, from outside and while it is worked on; and many at the same time."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from addons.engine.step import Plan, Preview, State

N = TypeVar("N")
T = TypeVar("T")
R = TypeVar("R")

PARALLEL = 32
"""How many nodes are spoken to at once."""


class Work(Protocol[N]):
    """One node's part in a run."""

    @property
    def node(self) -> int:
        """The node's id."""

    @property
    def confirmed(self) -> Mapping[str, Any]:
        """The preview that a person confirmed, as JSON; empty where none was shown."""

    def connect(self) -> N:
        """Reach the node and take the lock on it."""

    def plan(self, session: N) -> Plan[N]:
        """Read the node's facts and plan."""

    def finish(self, session: N) -> None:
        """Remove what the run kept on the node."""

    def close(self, session: N) -> None:
        """Let the lock and the connection go. Never raises."""


@dataclass(slots=True)
class Reached(Generic[N]):
    """A node that was reached and inspected.

    Args:
        begun: The before-states by step, of this attempt and earlier ones.
        undone: The steps among them that this attempt has put back.
        settled: Those that have been settled after that.
    """

    work: Work[N]
    session: N
    plan: Plan[N]
    states: dict[str, State]
    preview: Preview
    begun: dict[str, State]
    undone: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)

    @property
    def id(self) -> int:
        """The node's id."""
        return self.work.node


def by_rank(nodes: Sequence[Reached[N]]) -> list[list[Reached[N]]]:
    """Part the nodes by their rank, those that have their turn first at the front."""
    ranks = sorted({node.plan.rank for node in nodes})
    return [[node for node in nodes if node.plan.rank == rank] for rank in ranks]


def parallel(call: Callable[[T], R], items: Sequence[T], *, limit: int = PARALLEL) -> list[R]:
    """Call with each item in threads of its own and return the results in order."""
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=min(limit, len(items))) as threads:
        return list(threads.map(call, items))


def at_one_moment(call: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The same, with nobody waiting for a thread."""
    return parallel(call, items, limit=len(items))
