"""What the engine tells the outside while it works."""

from collections.abc import Mapping
from typing import Protocol

from addons.engine.conditions import Reason
from addons.engine.step import Goal, Preview, State


class Halt(Exception):  # noqa: N818 -- it is no error
    """Stop before the next step. Raised by `Journal.proceed`."""


class LeaseLost(Halt):
    """Another worker has the run: touch nothing more and record nothing more."""


class StopRequested(Halt):
    """A person asked to stop and put back."""


class Journal(Protocol):
    """The runner's only way out. Safe to call from any thread.

    Nodes are named by their integer id. One writer behind it owns the database connection.
    """

    def proceed(self, goal: Goal) -> None:
        """Return if the next step may begin.

        Raises:
            LeaseLost: Another worker has the run.
            StopRequested: A person asked to stop; only on the way forward.
        """

    def previewed(self, node: int, preview: Preview) -> None:
        """Record the fresh plan of a node."""

    def before(self, node: int, step: str, state: State) -> State:
        """Record what a step saw before it acts, and return once that is committed.

        Returns the state recorded first: a takeover gets its predecessor's.

        Raises:
            LeaseLost: It could not be committed under this worker's lease.
        """

    def befores(self, node: int) -> Mapping[str, State]:
        """Return the before-states recorded by this run's earlier attempts, by step."""

    def applied(self, node: int, step: str, says: str) -> None:
        """A step was applied."""

    def skipped(self, node: int, step: str, reason: Reason) -> None:
        """A step was satisfied already."""

    def failed(self, node: int, step: str, reason: Reason) -> None:
        """A step, check or probe failed. The run's first one is never overwritten."""

    def undone(self, node: int, step: str, says: str) -> None:
        """A step was undone."""

    def undo_failed(self, node: int, step: str, reason: Reason) -> None:
        """An undo failed: the run will be stuck."""

    def held(self, node: int, step: str, says: str) -> None:
        """Something is held from now on, until it is let go."""

    def released(self, node: int, step: str, says: str) -> None:
        """What was held is let go; it is as before, whatever became of the run."""

    def verified(self, node: int, says: str) -> None:
        """Something was proven."""

    def note(self, node: int, says: str) -> None:
        """Something worth a line happened."""

    def node_done(self, node: int, *, changed: bool, observation: State) -> None:
        """A node reached the goal and was verified."""

    def node_put_back(self, node: int, *, clean: bool, observation: State) -> None:
        """A node's put-back ended; `clean` is false where something failed."""

    def putting_back(self) -> None:
        """From here on the run only goes back; returns once that is committed."""
