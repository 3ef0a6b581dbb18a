"""The way back: what was begun is undone, the last one first, settled and proven."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from addons.engine.conditions import Reason
from addons.engine.journal import Journal, LeaseLost
from addons.engine.legs import Leg, legs, together
from addons.engine.rollout import Rollout
from addons.engine.step import Goal, Step
from addons.engine.work import Reached, at_one_moment, by_rank, parallel

N = TypeVar("N")
T = TypeVar("T")

UNKNOWN_STEP = Reason(
    "UnknownStep",
    "This step was begun and is not part of the plan any more, so it cannot be undone.",
    "Compare the node with the run's records.",
)


@dataclass(frozen=True, slots=True)
class _Restored(Generic[N]):
    """A node after its put-back, as far as that went, but for what it still holds."""

    node: Reached[N]
    clean: bool
    observation: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Back(Generic[N]):
    """Puts nodes back.

    Args:
        journal: Hears what happens.
        explain: Turns any exception into a reason for people.
    """

    journal: Journal
    explain: Callable[[Exception], Reason]

    def restore(self, nodes: Sequence[Reached[N]]) -> bool:
        """Put back what was begun on these nodes; say whether nothing failed."""
        begun = [node for node in reversed(nodes) if node.begun]
        if self._cross(begun):
            # What is proven of one may depend on all the others.
            parallel(self._come_to_rest, begun)
        at_once = Rollout(canary=0, wave=len(begun))
        waves = (
            wave
            for equals in by_rank(begun)
            for wave in at_once.waves(equals, lambda node: node.plan.queue)
        )
        back = [each for wave in waves for each in parallel(self._restore_or_reconnect, wave)]
        # Only now: what is held is held for as long as anybody is under way.
        return all(parallel(self._end, back))

    def finish(self, node: Reached[N]) -> None:
        """Remove what the run kept on the node; a leftover is only noted."""
        try:
            node.work.finish(node.session)
        except Exception as error:  # noqa: BLE001 -- the goal is reached; a leftover is only noted
            self.journal.note(node.id, f"tidying up: {self.explain(error).message}")

    def _cross(self, nodes: Sequence[Reached[N]]) -> bool:
        """Undo the steps that were taken together at one moment, and first what came after them.

        Returns whether there were any.
        """
        crossed = [
            at
            for at, leg in enumerate(legs(nodes))
            if together(at) and any(step.key in node.begun for node, steps in leg for step in steps)
        ]
        for leg in reversed(legs(nodes)[crossed[0] :] if crossed else []):
            failed = [node for node, undone in self._undo_leg(leg) if not undone]
            # Nobody is to stay on the other side for a connection that has died.
            again = [node for node in failed if self._reconnected(node)]
            self._undo_leg([(node, steps) for node, steps in leg if node in again])
        return bool(crossed)

    def _undo_leg(self, leg: Leg[N]) -> list[tuple[Reached[N], bool]]:
        done = at_one_moment(lambda part: self._undo_all(*part), leg)
        return [(node, undone) for (node, _), undone in zip(leg, done, strict=True)]

    def _undo_all(self, node: Reached[N], steps: Sequence[Step[N]]) -> bool:
        """Undo what was begun of these steps, the last one first, and is not undone yet."""
        left = node.begun.keys() - node.undone
        due = [step for step in reversed(steps) if step.key in left]
        undone = [self._salvaged(node, step.key, step, self._undo) for step in due]
        return all(undone)

    def _restore_or_reconnect(self, node: Reached[N]) -> _Restored[N]:
        """Restore; where that failed, once more over a new connection: the old one may be dead."""
        restored = self._restore(node)
        if restored.clean or not self._reconnected(node):
            return restored
        # What went over the old one is looked at once more.
        node.undone.clear()
        node.settled.clear()
        return self._restore(node)

    def _reconnected(self, node: Reached[N]) -> bool:
        node.work.close(node.session)
        try:
            node.session = node.work.connect()
        except Exception as error:  # noqa: BLE001 -- whatever stops a node becomes its reason
            self.journal.undo_failed(node.id, "connect", self.explain(error))
            return False
        return True

    def _end(self, restored: _Restored[N]) -> bool:
        """Let go of what the node holds, also where something else failed."""
        node, clean = restored.node, restored.clean
        for step in node.plan.holds:
            if step.key in node.begun:
                settled = self._salvaged(node, step.key, step, self._settle)
                released = self._salvaged(node, step.key, step, self._release)
                clean = settled and released and clean
        if clean:
            self.finish(node)
        self.journal.node_put_back(node.id, clean=clean, observation=restored.observation)
        return clean

    def _come_to_rest(self, node: Reached[N]) -> bool:
        """Undo what is left, and settle."""
        undone = self._undo_all(node, node.plan.steps)
        left = node.begun.keys() - node.settled
        due = [step for step in reversed(node.plan.steps) if step.key in left]
        settled = [self._salvaged(node, "settle", step, self._settle) for step in due]
        return undone and all(settled)

    def _restore(self, node: Reached[N]) -> _Restored[N]:
        """Undo, settle and prove; go on where one of these fails, and say whether none did."""
        rests = self._come_to_rest(node)
        planned = {step.key for step in (*node.plan.steps, *node.plan.holds)}
        unknown = node.begun.keys() - planned
        for key in sorted(unknown):
            self.journal.undo_failed(node.id, key, UNKNOWN_STEP)
        observation: dict[str, object] = {}
        proven = self._salvaged(node, "verify", observation, self._prove)
        clean = rests and proven and not unknown
        return _Restored(node, clean, observation)

    def _salvaged(
        self, node: Reached[N], step: str, subject: T, act: Callable[[Reached[N], T], None]
    ) -> bool:
        self.journal.proceed(Goal.BACK)
        try:
            act(node, subject)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 -- a failing undo is recorded, the rest go on
            self.journal.undo_failed(node.id, step, self.explain(error))
            return False
        return True

    def _undo(self, node: Reached[N], step: Step[N]) -> None:
        said = step.undo(node.session, node.begun[step.key])
        node.undone.add(step.key)
        self.journal.undone(node.id, step.key, said)

    def _release(self, node: Reached[N], step: Step[N]) -> None:
        said = step.undo(node.session, node.begun[step.key])
        self.journal.released(node.id, step.key, said)

    def _settle(self, node: Reached[N], step: Step[N]) -> None:
        said = step.settle(node.session, Goal.BACK, node.begun[step.key])
        node.settled.add(step.key)
        if said is not None:
            self.journal.note(node.id, said)

    def _prove(self, node: Reached[N], observation: dict[str, object]) -> None:
        sentences, seen = node.plan.probe(node.session, Goal.BACK)
        observation.update(seen)
        for sentence in sentences:
            self.journal.verified(node.id, sentence)
