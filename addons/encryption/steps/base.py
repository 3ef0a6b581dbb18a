"""What the steps share."""

from addons.engine.step import Goal, State
from addons.session import NodeSession


class Settled:
    """A step that its own apply and undo leave settled."""

    together = False

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:  # noqa: ARG002
        """There is nothing to settle."""
        return None
