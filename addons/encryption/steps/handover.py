"""A primary's role, handed to a replica before the primary restarts."""

from collections.abc import Sequence

from addons.encryption.cluster import in_cluster
from addons.encryption.handing_over import hand_over, remember_primary
from addons.encryption.handover import heirs_named
from addons.encryption.party import Party
from addons.encryption.steps.base import Settled
from addons.encryption.steps.restart import Restart
from addons.engine.step import Change, Line, State
from addons.session import NodeSession
from instances.reason import Reason

BY_CLUSTER_MS = 300
BY_SENTINELS_MS = 2_500
"""How long writes wait, as a rule."""


class Handover(Settled):
    """Has a replica take a primary's role over, with writes held back until it has them all.

    The role stays there: to move it back would hold writes back once more, and in a cluster, or
    under Sentinels, roles are nobody's own. So an undo has nothing to do.

    Args:
        restart: The step, inspected after this one, for which it is done.
        party: The nodes of the run.
    """

    key = "handover"
    title = "Handover"

    def __init__(self, restart: Restart, party: Party) -> None:
        self._restart = restart
        self._party = party

    def inspect(self, node: NodeSession) -> State:
        """Return who may take over; nobody where the server is no primary, or not one like that."""
        waits = BY_CLUSTER_MS if in_cluster(node.runtime) else BY_SENTINELS_MS
        begun = self.key in node.brief.begun
        return {"heirs": heirs_named(node), "begun": begun, "waits": waits}

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied where the server does not restart, or nobody is to stand in for it."""
        if not self._restart.due:
            return Reason("Stays", "the server does not restart")
        if state["heirs"] or state["begun"]:
            return None
        return Reason("NoRole", "it has no role to hand over")

    def describe(self, state: State) -> Sequence[Change]:
        """Say who takes over; nothing of what an earlier attempt has left to be done."""
        if not state["heirs"]:
            return []
        heirs = " or ".join(state["heirs"])
        says = (
            f"The role of primary moves to {heirs} before the restart, and is not moved back. "
            "Writes wait meanwhile."
        )
        # No difference to what is wanted: who is primary is nobody's setting.
        lines = (Line("hunk", "@@ who is primary @@"), Line("context", f"then {heirs}"))
        return [Change(says, lines, delays=state["waits"])]

    def apply(self, node: NodeSession, state: State) -> str:  # noqa: ARG002 -- the step's signature
        """Hand over to whoever is fit now, if the server still has the role."""
        return hand_over(node, self._party)

    def undo(self, node: NodeSession, before: State) -> str:  # noqa: ARG002 -- the step's signature
        """Nothing: who has the role now keeps it, and is named in the file of who gave it away."""
        remember_primary(node)
        return "roles stay as they are now"
