"""Automatic failover, held while servers and Sentinels move from one transport to the other."""

from collections.abc import Sequence
from datetime import datetime

from addons.encryption.steps.sentinel import SentinelFile
from addons.encryption.watching import HELD_MS, wait_until_whole, watch_problems, watches
from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.errors import RemoteError


class FailoverHeld:
    """Has a Sentinel take nobody for down, and makes it as attentive as before in the end.

    A Sentinel speaks one transport to all. While some servers have moved and it has not, they are
    out of its reach: it would declare them down, and fail over (REDIS_FACTS 4).

    Args:
        move: The step, inspected after this one, for which it is held.

    After `inspect`, ``problems`` say why it must not move.
    """

    together = False
    key = "failover"
    title = "Failover"

    def __init__(self, move: SentinelFile) -> None:
        self._move = move
        self._problems: tuple[Reason, ...] = ()

    @property
    def problems(self) -> tuple[Reason, ...]:
        """What stands in the way of a Sentinel that is to move."""
        return self._problems if self._move.moves else ()

    def inspect(self, node: NodeSession) -> State:
        """Return how patient the Sentinel is now; of one that is held already, how it was."""
        begun = node.brief.begun.get(self.key)
        if begun is not None:
            return begun
        found = watches(node)
        self._problems = tuple(reason for watch in found for reason in watch_problems(node, watch))
        patience = {watch.name: watch.down_after for watch in found}
        return {"down_after": patience, "since": node.now().isoformat()}

    def satisfied(self, state: State) -> Reason | None:  # noqa: ARG002 -- the step's signature
        """Satisfied where the Sentinel stays as it is."""
        return None if self._move.moves else Reason("Stays", "the Sentinel stays as it is")

    def describe(self, state: State) -> Sequence[Change]:
        """Say that failover is off meanwhile."""
        lines = [Line("hunk", "@@ the Sentinel, by SENTINEL SET @@")]
        for name, value in state["down_after"].items():
            lines.append(Line("del", f"{name}: down-after-milliseconds {value}"))
            lines.append(Line("add", f"{name}: down-after-milliseconds {HELD_MS}, then {value}"))
        says = (
            "Automatic failover is off until the last Sentinel has moved, mostly some seconds: a "
            "primary that dies meanwhile is not replaced before."
        )
        return [Change(says, tuple(lines))]

    def apply(self, node: NodeSession, state: State) -> str:
        """Tell the Sentinel to wait for long."""
        _set(node, dict.fromkeys(state["down_after"], HELD_MS))
        names = ", ".join(state["down_after"])
        return f"Automatic failover of {names} is off until the run lets go of it"

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:  # noqa: ARG002
        """Wait until the Sentinel reaches everybody: else it would fail over at once.

        Raises:
            StepFailed: On the way forward, it does not.
        """
        missing = wait_until_whole(node)
        if missing and goal is Goal.FORWARD:
            raise StepFailed(
                Reason(
                    "NotWatched",
                    f"{node.name}: failover would not work: {missing}.",
                    "The Sentinel's log says why.",
                )
            )
        return f"failover is let go of although {missing}" if missing else None

    def undo(self, node: NodeSession, before: State) -> str:
        """Make the Sentinel as attentive as it was."""
        _set(node, before["down_after"])
        off = (node.now() - datetime.fromisoformat(before["since"])).total_seconds()
        values = ", ".join(f"{value}" for value in before["down_after"].values())
        return (
            f"automatic failover is on again (down-after-milliseconds {values}), "
            f"after {off:.0f} seconds"
        )


def _set(node: NodeSession, patience: State) -> None:
    try:
        _send(node, patience)
    except RemoteError:
        # It was restarted a moment ago.
        node.forget_server()
        _send(node, patience)


def _send(node: NodeSession, patience: State) -> None:
    for name, value in patience.items():
        node.redis().execute("SENTINEL", "SET", name, "down-after-milliseconds", value)
