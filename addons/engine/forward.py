"""The way forward: by rank a canary, then waves; some steps are taken by all at one moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from addons.engine.conditions import Reason
from addons.engine.journal import Halt, Journal, LeaseLost
from addons.engine.legs import Leg, legs, together
from addons.engine.rollout import Rollout
from addons.engine.step import Goal, Step
from addons.engine.work import Reached, at_one_moment, by_rank, parallel

N = TypeVar("N")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Forward(Generic[N]):
    """Leads nodes to the goal.

    Args:
        journal: Hears what happens.
        explain: Turns any exception into a reason for people.
        rollout: In which order nodes are changed.
    """

    journal: Journal
    explain: Callable[[Exception], Reason]
    rollout: Rollout

    def roll(self, nodes: Sequence[Reached[N]]) -> bool:
        """Change and prove all of them; False where one failed, and then no more are begun."""
        return (
            all(parallel(self._hold, nodes))
            and all(self._lead(equals) for equals in by_rank(nodes))
            and all(parallel(self._let_go, nodes))
        )

    def _hold(self, node: Reached[N]) -> bool:
        steps = node.plan.holds
        return all(self._guarded(node, step.key, step, self._hold_one) for step in steps)

    def _hold_one(self, node: Reached[N], step: Step[N]) -> None:
        if not self._skipped(node, step):
            self._register(node, step)
            says = step.apply(node.session, node.states[step.key])
            self.journal.held(node.id, step.key, says)

    def _let_go(self, node: Reached[N]) -> bool:
        held = [step for step in node.plan.holds if step.key in node.begun]
        return all(self._guarded(node, step.key, step, self._release) for step in held)

    def _release(self, node: Reached[N], step: Step[N]) -> None:
        self._settle(node, step)
        says = step.undo(node.session, node.begun[step.key])
        self.journal.released(node.id, step.key, says)

    def _lead(self, equals: Sequence[Reached[N]]) -> bool:
        """Lead nodes of one rank from leg to leg; nobody begins one before all have come."""
        *early, last = legs(equals)
        arrived = all(
            self._cross(leg) if together(at) else self._in_waves(leg, self._walk, first=at == 0)
            for at, leg in enumerate(early)
        )
        if not early:
            return self._in_waves(last, self._change, first=True)
        # What is proven of one that has crossed may depend on all the others.
        return arrived and all(
            self._in_waves(last, act, first=False) for act in (self._settled, self._proven)
        )

    def _in_waves(
        self,
        leg: Leg[N],
        act: Callable[[tuple[Reached[N], Sequence[Step[N]]]], bool],
        *,
        first: bool,
    ) -> bool:
        # What a canary could tell it has told before the nodes first waited for each other.
        rollout = self.rollout if first else replace(self.rollout, canary=0)
        return all(all(parallel(act, wave)) for wave in rollout.waves(leg, _queue))

    def _walk(self, part: tuple[Reached[N], Sequence[Step[N]]]) -> bool:
        node, steps = part
        return all(self._guarded(node, step.key, step, self._apply) for step in steps)

    def _change(self, part: tuple[Reached[N], Sequence[Step[N]]]) -> bool:
        return self._settled(part) and self._proven(part)

    def _settled(self, part: tuple[Reached[N], Sequence[Step[N]]]) -> bool:
        node, _ = part
        return self._walk(part) and all(
            self._guarded(node, "settle", step, self._settle) for step in node.plan.steps
        )

    def _proven(self, part: tuple[Reached[N], Sequence[Step[N]]]) -> bool:
        return self._guarded(part[0], "verify", Goal.FORWARD, self._probe)

    def _cross(self, leg: Leg[N]) -> bool:
        """Take a step on all nodes at one moment, and not before the state of each is committed."""
        steps = [(node, step) for node, steps in leg for step in steps]
        due = [(node, step) for node, step in steps if not self._skipped(node, step)]
        if not all(parallel(self._registered, due)):
            return False
        told = at_one_moment(self._act, due)
        done = [self._told(part, says) for part, says in zip(due, told, strict=True)]
        return all(done)

    def _registered(self, part: tuple[Reached[N], Step[N]]) -> bool:
        node, step = part
        return self._guarded(node, step.key, step, self._register)

    def _act(self, part: tuple[Reached[N], Step[N]]) -> str | Reason:
        node, step = part
        try:
            return step.apply(node.session, node.states[step.key])
        except Exception as error:  # noqa: BLE001 -- whatever a step raises becomes its reason
            return self.explain(error)

    def _told(self, part: tuple[Reached[N], Step[N]], says: str | Reason) -> bool:
        node, step = part
        if isinstance(says, Reason):
            self.journal.failed(node.id, step.key, says)
            return False
        self.journal.applied(node.id, step.key, says)
        return True

    def _guarded(
        self, node: Reached[N], step: str, subject: T, act: Callable[[Reached[N], T], None]
    ) -> bool:
        """Act; turn a failure into a record, a wish to stop into a note. LeaseLost goes through."""
        try:
            self.journal.proceed(Goal.FORWARD)
            act(node, subject)
        except LeaseLost:
            raise
        except Halt as halt:
            self.journal.note(node.id, str(halt))
            return False
        except Exception as error:  # noqa: BLE001 -- whatever a step raises becomes its reason
            self.journal.failed(node.id, step, self.explain(error))
            return False
        return True

    def _apply(self, node: Reached[N], step: Step[N]) -> None:
        if self._skipped(node, step):
            return
        self._register(node, step)
        says = step.apply(node.session, node.states[step.key])
        self.journal.applied(node.id, step.key, says)

    def _skipped(self, node: Reached[N], step: Step[N]) -> bool:
        reason = step.satisfied(node.states[step.key])
        if reason is not None:
            self.journal.skipped(node.id, step.key, reason)
        return reason is not None

    def _register(self, node: Reached[N], step: Step[N]) -> None:
        # Undo is registered before the action, so that a crash between the two is undone too.
        state = node.states[step.key]
        node.begun[step.key] = self.journal.before(node.id, step.key, state)

    def _settle(self, node: Reached[N], step: Step[N]) -> None:
        said = step.settle(node.session, Goal.FORWARD, node.begun.get(step.key))
        if said is not None:
            self.journal.note(node.id, said)

    def _probe(self, node: Reached[N], goal: Goal) -> None:
        sentences, observation = node.plan.probe(node.session, goal)
        for sentence in sentences:
            self.journal.verified(node.id, sentence)
        self.journal.node_done(node.id, changed=bool(node.begun), observation=observation)


def _queue(part: tuple[Reached[N], Sequence[Step[N]]]) -> str:
    return part[0].plan.queue
