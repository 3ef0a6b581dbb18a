"""Drives a run: preflight on all nodes, then the way forward; puts back what fails.

The runner knows nothing of Redis, SSH or Django. It calls steps with nodes and tells a `Journal`
what happens. It may be run again after a crash at any point: before-states recorded by an earlier
attempt are used again, and steps look before they act.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from addons.engine.back import Back
from addons.engine.conditions import Reason
from addons.engine.forward import Forward
from addons.engine.journal import Journal, LeaseLost
from addons.engine.preflight import Preflight, Prepared
from addons.engine.rollout import Rollout
from addons.engine.work import Work, parallel

N = TypeVar("N")


class Outcome(Enum):
    """How a run ended; abandoned where another worker has taken it."""

    SUCCEEDED = "succeeded"
    PUT_BACK = "put_back"
    REFUSED = "refused"
    STUCK = "stuck"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Runner(Generic[N]):
    """Runs work on nodes.

    Args:
        journal: Hears what happens.
        explain: Turns any exception into a reason for people.
        rollout: In which order nodes are changed.
        takeover: Whether an earlier attempt may have changed something already; the preview was
            compared then and is not compared again.
    """

    journal: Journal
    explain: Callable[[Exception], Reason]
    rollout: Rollout = field(default_factory=Rollout)
    takeover: bool = False

    def look(self, works: Sequence[Work[N]]) -> Outcome:
        """Preview only: connect, inspect, check, and change nothing."""
        prepared = self._prepare(works)
        self._close(prepared)
        return Outcome.SUCCEEDED if prepared.ready else Outcome.REFUSED

    def forward(self, works: Sequence[Work[N]]) -> Outcome:
        """Lead all nodes to the goal, or those that were begun back to where they were."""
        prepared = self._prepare(works)
        try:
            if not prepared.ready and not prepared.begun:
                return Outcome.REFUSED
            way: Forward[N] = Forward(self.journal, self.explain, self.rollout)
            if prepared.ready and way.roll(prepared.nodes):
                parallel(self._back.finish, prepared.nodes)
                return Outcome.SUCCEEDED
            return self._put_back(prepared)
        except LeaseLost:
            return Outcome.ABANDONED
        finally:
            self._close(prepared)

    def back(self, works: Sequence[Work[N]]) -> Outcome:
        """Put back what this run's earlier attempts began."""
        prepared = self._prepare(works, check=False)
        try:
            return self._put_back(prepared)
        except LeaseLost:
            return Outcome.ABANDONED
        finally:
            self._close(prepared)

    def _prepare(self, works: Sequence[Work[N]], *, check: bool = True) -> Prepared[N]:
        preflight: Preflight[N] = Preflight(self.journal, self.explain, self.takeover)
        return preflight.prepare(works, check=check)

    @property
    def _back(self) -> Back[N]:
        return Back(self.journal, self.explain)

    def _put_back(self, prepared: Prepared[N]) -> Outcome:
        """Undo on every node that was begun, the last one first."""
        self.journal.putting_back()
        clean = self._back.restore(prepared.nodes)
        return Outcome.PUT_BACK if clean and not prepared.lost else Outcome.STUCK

    @staticmethod
    def _close(prepared: Prepared[N]) -> None:
        parallel(lambda node: node.work.close(node.session), prepared.nodes)
