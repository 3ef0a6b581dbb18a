"""Before anything is changed every node is reached, looked at and checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from addons.engine.conditions import Reason
from addons.engine.journal import Journal
from addons.engine.step import Preview, preview
from addons.engine.work import Reached, Work, parallel

N = TypeVar("N")

_SHOWN_DIFFERENCES = 6


@dataclass(frozen=True, slots=True)
class Prepared(Generic[N]):
    """What preflight found. ``lost``: an earlier attempt began a node that is out of reach."""

    nodes: list[Reached[N]]
    ready: bool
    lost: bool

    @property
    def begun(self) -> bool:
        return self.lost or any(node.begun for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Preflight(Generic[N]):
    """Reaches and checks nodes.

    Args:
        journal: Hears what happens.
        explain: Turns any exception into a reason for people.
        takeover: Whether the preview was compared by an earlier attempt.
    """

    journal: Journal
    explain: Callable[[Exception], Reason]
    takeover: bool

    def prepare(self, works: Sequence[Work[N]], *, check: bool = True) -> Prepared[N]:
        """Look at every node.

        Args:
            works: What is to be done.
            check: Whether what stands in the way of a change counts.
        """
        nodes = parallel(self._reach, works)
        reached = [node for node in nodes if node is not None]
        lost = any(
            node is None and self.journal.befores(work.node)
            for work, node in zip(works, nodes, strict=True)
        )
        fit = [self._may_change(node) for node in reached] if check else [True]
        return Prepared(reached, ready=len(reached) == len(works) and all(fit), lost=lost)

    def _reach(self, work: Work[N]) -> Reached[N] | None:
        step, session = "connect", None
        try:
            session = work.connect()
            step = "inspect"
            plan = work.plan(session)
            states = {each.key: each.inspect(session) for each in (*plan.holds, *plan.steps)}
            node = Reached(
                work,
                session,
                plan,
                states,
                preview(plan, states),
                dict(self.journal.befores(work.node)),
            )
        except Exception as error:  # noqa: BLE001 -- whatever stops a node becomes its reason
            self.journal.failed(work.node, step, self.explain(error))
            if session is not None:
                work.close(session)
            return None
        self.journal.previewed(work.node, node.preview)
        return node

    def _may_change(self, node: Reached[N]) -> bool:
        """Record what stands in the way of a change, and return whether nothing does."""
        obstacles = [] if node.begun else list(node.plan.obstacles)
        if node.work.confirmed and not self.takeover:
            obstacles += _differences(node.preview, node.work.confirmed)
        for reason in obstacles:
            self.journal.failed(node.id, "preflight", reason)
        return not obstacles


def _differences(fresh: Preview, confirmed: Mapping[str, Any]) -> list[Reason]:
    found = fresh.unlike(confirmed)
    if not found:
        return []
    return [
        Reason(
            "PreviewDiffers",
            "The node is no longer as the preview saw it, so the change would be another one: "
            f"{'; '.join(found[:_SHOWN_DIFFERENCES])}.",
            "Ask for a new preview and confirm that one.",
        )
    ]
