"""Drives a run: preflight on all nodes, then a canary, then waves; puts back what fails.

The runner knows nothing of Redis, SSH or Django. It calls steps with nodes and tells a `Journal`
what happens. It may be run again after a crash at any point: before-states recorded by an earlier
attempt are used again, and steps look before they act.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from addons.engine.conditions import Reason
from addons.engine.journal import Halt, Journal, LeaseLost
from addons.engine.rollout import Rollout
from addons.engine.step import Goal, Plan, Preview, State, Step, preview

N = TypeVar("N")
T = TypeVar("T")
R = TypeVar("R")

UNKNOWN_STEP = Reason(
    "UnknownStep",
    "This step was begun and is not part of the plan any more, so it cannot be undone.",
    "Compare the node with the run's records.",
)
_SHOWN_DIFFERENCES = 6
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


class Outcome(Enum):
    """How a run ended; abandoned where another worker has taken it."""

    SUCCEEDED = "succeeded"
    PUT_BACK = "put_back"
    REFUSED = "refused"
    STUCK = "stuck"
    ABANDONED = "abandoned"


@dataclass(slots=True)
class _Node(Generic[N]):
    """A node that was reached and inspected. ``begun`` are the before-states by step."""

    work: Work[N]
    session: N
    plan: Plan[N]
    states: dict[str, State]
    preview: Preview
    begun: dict[str, State]


@dataclass(frozen=True, slots=True)
class _Prepared(Generic[N]):
    """What preflight found. ``lost``: an earlier attempt began a node that is out of reach."""

    nodes: list[_Node[N]]
    ready: bool
    lost: bool

    @property
    def begun(self) -> bool:
        return self.lost or any(node.begun for node in self.nodes)


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
            if prepared.ready and self._roll(prepared.nodes):
                self._finish(prepared.nodes)
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

    # Preflight: nothing is changed before every node was looked at.

    def _prepare(self, works: Sequence[Work[N]], *, check: bool = True) -> _Prepared[N]:
        nodes = _parallel(self._reach, works)
        reached = [node for node in nodes if node is not None]
        lost = any(
            node is None and self.journal.befores(work.node)
            for work, node in zip(works, nodes, strict=True)
        )
        fit = [self._may_change(node) for node in reached] if check else [True]
        return _Prepared(reached, ready=len(reached) == len(works) and all(fit), lost=lost)

    def _reach(self, work: Work[N]) -> _Node[N] | None:
        step, session = "connect", None
        try:
            session = work.connect()
            step = "inspect"
            plan = work.plan(session)
            states = {each.key: each.inspect(session) for each in plan.steps}
            node = _Node(
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

    def _may_change(self, node: _Node[N]) -> bool:
        """Record what stands in the way of a change, and return whether nothing does."""
        obstacles = [] if node.begun else list(node.plan.obstacles)
        if node.work.confirmed and not self.takeover:
            obstacles += _differences(node.preview, node.work.confirmed)
        for reason in obstacles:
            self.journal.failed(node.work.node, "preflight", reason)
        return not obstacles

    # Forward.

    def _roll(self, nodes: Sequence[_Node[N]]) -> bool:
        ranks = sorted({node.plan.rank for node in nodes})
        ranked = ([node for node in nodes if node.plan.rank == rank] for rank in ranks)
        return all(
            all(_parallel(self._change, wave))
            for equals in ranked
            for wave in self.rollout.waves(equals)
        )

    def _change(self, node: _Node[N]) -> bool:
        done = all(self._guarded(node, step.key, step, self._apply) for step in node.plan.steps)
        return (
            done
            and all(self._guarded(node, "settle", step, self._settle) for step in node.plan.steps)
            and self._guarded(node, "verify", Goal.FORWARD, self._probe)
        )

    def _guarded(
        self, node: _Node[N], step: str, subject: T, act: Callable[[_Node[N], T], None]
    ) -> bool:
        """Act; turn a failure into a record, a wish to stop into a note. LeaseLost goes through."""
        try:
            self.journal.proceed(Goal.FORWARD)
            act(node, subject)
        except LeaseLost:
            raise
        except Halt as halt:
            self.journal.note(node.work.node, str(halt))
            return False
        except Exception as error:  # noqa: BLE001 -- whatever a step raises becomes its reason
            self.journal.failed(node.work.node, step, self.explain(error))
            return False
        return True

    def _apply(self, node: _Node[N], step: Step[N]) -> None:
        state = node.states[step.key]
        reason = step.satisfied(state)
        if reason is not None:
            self.journal.skipped(node.work.node, step.key, reason)
            return
        # Undo is registered before the action, so that a crash between the two is undone too.
        node.begun[step.key] = self.journal.before(node.work.node, step.key, state)
        self.journal.applied(node.work.node, step.key, step.apply(node.session, state))

    def _settle(self, node: _Node[N], step: Step[N]) -> None:
        said = step.settle(node.session, Goal.FORWARD, node.begun.get(step.key))
        if said is not None:
            self.journal.note(node.work.node, said)

    def _probe(self, node: _Node[N], goal: Goal) -> None:
        sentences, observation = node.plan.probe(node.session, goal)
        for sentence in sentences:
            self.journal.verified(node.work.node, sentence)
        self.journal.node_done(node.work.node, changed=bool(node.begun), observation=observation)

    def _finish(self, nodes: Sequence[_Node[N]]) -> None:
        _parallel(self._finish_one, nodes)

    def _finish_one(self, node: _Node[N]) -> None:
        try:
            node.work.finish(node.session)
        except Exception as error:  # noqa: BLE001 -- the goal is reached; a leftover is only noted
            self.journal.note(node.work.node, f"tidying up: {self.explain(error).message}")

    # Back.

    def _put_back(self, prepared: _Prepared[N]) -> Outcome:
        """Undo on every node that was begun, the last one first."""
        self.journal.putting_back()
        begun = [node for node in reversed(prepared.nodes) if node.begun]
        clean = all(_parallel(self._restore_or_reconnect, begun))
        return Outcome.PUT_BACK if clean and not prepared.lost else Outcome.STUCK

    def _restore_or_reconnect(self, node: _Node[N]) -> bool:
        """Restore; where that failed, once more over a new connection: the old one may be dead."""
        if self._restore(node):
            return True
        node.work.close(node.session)
        try:
            node.session = node.work.connect()
        except Exception as error:  # noqa: BLE001 -- whatever stops a node becomes its reason
            self.journal.undo_failed(node.work.node, "connect", self.explain(error))
            return False
        return self._restore(node)

    def _restore(self, node: _Node[N]) -> bool:
        """Undo, settle and prove; go on where one of these fails, and say whether none did."""
        steps = [step for step in reversed(node.plan.steps) if step.key in node.begun]
        undone = [self._salvaged(node, step.key, step, self._undo) for step in steps]
        unknown = node.begun.keys() - {step.key for step in steps}
        for key in sorted(unknown):
            self.journal.undo_failed(node.work.node, key, UNKNOWN_STEP)
        settled = [self._salvaged(node, "settle", step, self._settle_back) for step in steps]
        observation: dict[str, object] = {}
        proven = self._salvaged(node, "verify", observation, self._prove_back)
        clean = all(undone) and all(settled) and proven and not unknown
        if clean:
            self._finish_one(node)
        self.journal.node_put_back(node.work.node, clean=clean, observation=observation)
        return clean

    def _salvaged(
        self, node: _Node[N], step: str, subject: T, act: Callable[[_Node[N], T], None]
    ) -> bool:
        self.journal.proceed(Goal.BACK)
        try:
            act(node, subject)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 -- a failing undo is recorded, the rest go on
            self.journal.undo_failed(node.work.node, step, self.explain(error))
            return False
        return True

    def _undo(self, node: _Node[N], step: Step[N]) -> None:
        said = step.undo(node.session, node.begun[step.key])
        self.journal.undone(node.work.node, step.key, said)

    def _settle_back(self, node: _Node[N], step: Step[N]) -> None:
        said = step.settle(node.session, Goal.BACK, node.begun[step.key])
        if said is not None:
            self.journal.note(node.work.node, said)

    def _prove_back(self, node: _Node[N], observation: dict[str, object]) -> None:
        sentences, seen = node.plan.probe(node.session, Goal.BACK)
        observation.update(seen)
        for sentence in sentences:
            self.journal.verified(node.work.node, sentence)

    def _close(self, prepared: _Prepared[N]) -> None:
        _parallel(lambda node: node.work.close(node.session), prepared.nodes)


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


def _parallel(call: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Call with each item in threads of its own and return the results in order."""
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=min(PARALLEL, len(items))) as threads:
        return list(threads.map(call, items))
