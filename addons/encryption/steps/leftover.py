"""Sessions that stay on the plain port after it was closed: ended, so that TLS is all there is."""

from collections.abc import Sequence

from addons.encryption.plaintext import PlainConnection, end_connections, listed_on
from addons.encryption.steps.base import Settled
from addons.engine.step import Change, Line, State
from addons.session import NodeSession
from instances.nodeconf.client_list import Kind
from instances.reason import Reason
from instances.remote.errors import ServerRefused

_LIST = ("CLIENT", "LIST")


class LeftoverSessions(Settled):
    """Ends what is still connected in plaintext; a server keeps those sessions (REDIS_FACTS 2).

    Args:
        port: The plain port; 0 where it stays open, or where there never was one.
        tls_port: It may have the same number afterwards. CLIENT LIST does not tell one session
            from the other, so those in plaintext are noted in the moment of the change.
        spares_links: Whether replicas' links stay: each replica makes its own anew.
    """

    key = "leftover"
    title = "Leftover sessions"

    def __init__(self, *, port: int, tls_port: int, spares_links: bool) -> None:
        self._port = port
        self._spares_links = spares_links
        self._same = port == tls_port
        self._noted: list[int] | None = None

    def closes(self, node: NodeSession) -> bool:
        """Say whether the plain port is open now and is to be closed."""
        return bool(self._port) and node.runtime.config.get("port") == str(self._port)

    def present(self, node: NodeSession) -> list[int]:
        """Return the sessions on a port that is to be closed, by the server's numbers."""
        if not self.closes(node):
            return []
        return self._numbers(node.redis().pipeline([_LIST])[0])

    def note(self, listing: object) -> None:
        """Keep the answer to CLIENT LIST, asked right before the port was closed."""
        self._noted = self._numbers(listing)

    def _numbers(self, listing: object) -> list[int]:
        if isinstance(listing, ServerRefused):
            return []
        return [each.number for each in self._listed(str(listing)) if each.number]

    def _listed(self, listing: str) -> list[PlainConnection]:
        found = listed_on(listing, self._port)
        return [each for each in found if not (self._spares_links and each.kind is Kind.REPLICA)]

    def inspect(self, node: NodeSession) -> State:
        """Say whether there is, or was in an earlier attempt, a port to close."""
        begun = node.brief.begun.get("runtime")
        before = list(begun.get("sessions", ())) if begun and self._port else []
        ends = self.closes(node) or bool(self._port and begun)
        return {"port": self._port, "ends": ends, "sessions": before}

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied where this run closes nothing."""
        return None if state["ends"] else Reason("Closed", "no plain port is closed by this")

    def describe(self, state: State) -> Sequence[Change]:
        """Say what becomes of the sessions; how many there are may change until then."""
        lines = (
            Line("hunk", "@@ the running server, by CLIENT KILL @@"),
            Line("context", f"plaintext sessions on port {state['port']}"),
        )
        says = f"Sessions that are still on the plain port {state['port']} are ended."
        return [Change(says, lines)]

    def apply(self, node: NodeSession, state: State) -> str:
        """End them; the panel's own goes last."""
        answer = node.redis().pipeline([_LIST])[0]
        if isinstance(answer, ServerRefused):
            return f"plaintext sessions could not be ended: {answer.message}"
        left = self._listed(str(answer))
        if self._same:
            known = set(state["sessions"] if self._noted is None else self._noted)
            left = [each for each in left if each.number in known]
        ended = end_connections(node, left)
        node.forget_server()
        return f"{ended} plaintext session{'s' * (ended != 1)} ended"

    def undo(self, node: NodeSession, before: State) -> str:  # noqa: ARG002 -- the step's signature
        """Their clients connect again by themselves."""
        return "the sessions that were ended come back by themselves"
