"""Steps and plans: what an add-on turns its spec and a node's facts into."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

from addons.engine.conditions import Reason

N = TypeVar("N")
N_contra = TypeVar("N_contra", contravariant=True)

State = Mapping[str, Any]
"""JSON-able; secrets are masked or absent, for it is stored."""


class Goal(Enum):
    """Where settling leads: to the wanted state, or back to the one before the run."""

    FORWARD = "forward"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a preview: ``hunk``, ``context``, ``add`` or ``del``."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a step would do on a node, for the preview.

    Args:
        says: A plain sentence.
        lines: The exact difference, where there is one.
        interrupts: Milliseconds that clients are expected to be without the server; 0 for none.
        delays: Milliseconds that writes are expected to wait, without an error.
    """

    says: str
    lines: tuple[Line, ...] = ()
    interrupts: int = 0
    delays: int = 0


class StepFailed(Exception):  # noqa: N818 -- it reads as a sentence where it is caught
    """A step, a check or the probe failed, with its reason and what to do next.

    Args:
        seen: What the probe saw all the same, without a condition.
    """

    def __init__(self, reason: Reason, seen: State | None = None) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.seen = seen or {}


class Step(Protocol[N_contra]):
    """One reversible piece of work on a node of type N.

    Every method may raise; what they raise becomes the run's failure. `apply` and `undo` are
    level-triggered: called again after a crash half-way, they finish what is left.
    """

    key: str
    title: str

    @property
    def together(self) -> bool:
        """Whether all nodes of a rank take it at one moment, forward and back.

        They wait for each other before it. Where one cannot come, or fails, all of them go back.
        """

    def inspect(self, node: N_contra) -> State:
        """Look, change nothing, and return the state that `undo` would need."""

    def satisfied(self, state: State) -> Reason | None:
        """Return why nothing is to be done, or None."""

    def describe(self, state: State) -> Sequence[Change]:
        """Return what `apply` would do, for the preview."""

    def apply(self, node: N_contra, state: State) -> str:
        """Do it, and say in a sentence what was done."""

    def undo(self, node: N_contra, before: State) -> str:
        """Put `before` back, and say in a sentence what was done."""

    def settle(self, node: N_contra, goal: Goal, before: State | None) -> str | None:
        """Make server and file agree with the goal, after all steps; None where they did.

        ``before`` is the recorded state where the step had begun.
        """


class Plan(Protocol[N_contra]):
    """The steps for one node, the checks ahead of them and the proof after them."""

    @property
    def steps(self) -> Sequence[Step[N_contra]]:
        """The steps in the order of their application."""

    @property
    def holds(self) -> Sequence[Step[N_contra]]:
        """What is held while nodes have their turns, such as a failover.

        Applied, on every node that has any, before the first turn; after the last one, and after a
        put-back, `settle` and then `undo` let go of it, so it is no part of the way back.
        """

    @property
    def rank(self) -> int:
        """When the node has its turn: those of a lower rank are changed, and proven, first."""

    @property
    def queue(self) -> str:
        """Whose copy the node is: those of one queue are changed one after the other, and put back.

        Empty where it does not matter.
        """

    @property
    def warnings(self) -> Sequence[Reason]:
        """What a person should know before confirming."""

    @property
    def obstacles(self) -> Sequence[Reason]:
        """What stands in the way (port taken, disk full, ...): nothing is touched then."""

    def probe(self, node: N_contra, goal: Goal) -> tuple[Sequence[str], State]:
        """Prove the goal from outside: sentences for the record, and the observation to store.

        Raises:
            StepFailed: The proof failed.
        """

    def observe(self, node: N_contra) -> State:
        """Look from outside at a node on which nothing is to be done.

        Returns the observation to store, as `probe` with `Goal.FORWARD` does; what is wrong is not
        raised but stands in its ``condition``. What it has under ``sample`` is not stored with it:
        the add-on remembers that in its own way.
        """


@dataclass(frozen=True, slots=True)
class Preview:
    """The plan, inspected and not applied."""

    changes: tuple[tuple[str, Change], ...]
    warnings: tuple[Reason, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return not self.changes

    def as_json(self) -> dict[str, Any]:
        """Return the preview for storage and pages."""
        return {
            "changes": [{"step": step, **asdict(change)} for step, change in self.changes],
            "warnings": [asdict(reason) for reason in self.warnings],
        }

    @property
    def digest(self) -> str:
        """SHA-256 over what a person was shown: equal digests mean the same change."""
        text = json.dumps(self.as_json()["changes"], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def unlike(self, shown: Mapping[str, Any]) -> list[str]:
        """Return what differs from a preview that a person was shown, as sentences."""
        before, now = _told(shown), _told(self.as_json())
        gone = [f"no longer: {text}" for text in before if text not in now]
        return gone + [f"new: {text}" for text in now if text not in before]


def _told(shown: Mapping[str, Any]) -> list[str]:
    signs = {"add": "+", "del": "-"}
    return [
        f"{signs[line['kind']]}{line['text']}"
        for change in shown["changes"]
        for line in change["lines"]
        if line["kind"] in signs
    ] + [change["says"] for change in shown["changes"]]


def preview(plan: Plan[N], states: Mapping[str, State]) -> Preview:
    """Return what the plan would change, given the inspected states of steps, and of holds."""
    changes = [
        (step.key, change)
        for step in (*plan.holds, *plan.steps)
        if step.key in states and step.satisfied(states[step.key]) is None
        for change in step.describe(states[step.key])
    ]
    return Preview(tuple(changes), tuple(plan.warnings))
