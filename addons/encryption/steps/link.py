"""A replica's link to its primary: led from the plain port to TLS, and back, live."""

import time
from collections.abc import Mapping, Sequence

from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.reason import Reason
from instances.runtime import parse_info

WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.05
_INFO = ("INFO", "replication")


class ReplicationLink:
    """Has a replica follow its primary on another port, or over another transport.

    The server's tls-replication acts on its next connection only, and REPLICAOF to the port that it
    has already does nothing. With another port the link is made anew by it, on the same port by
    ending it: both by a partial resync from 6.2 on (REDIS_FACTS 3). A step before this one has set
    tls-replication.

    Args:
        port: Of the primary, as it is wanted; 0 where the link stays as it is.
        over_tls: The transport, as it is wanted.
    """

    key = "link"
    title = "Replication link"
    together = False

    def __init__(self, port: int, *, over_tls: bool) -> None:
        self._port = port
        self._over_tls = over_tls

    def inspect(self, node: NodeSession) -> State:
        """Return whom the server follows, and how, where it is a replica."""
        # The setting, but for a link that an earlier attempt had not yet made anew with it.
        begun = node.brief.begun.get("runtime", {}).get("values", {})
        replicates = begun.get("tls-replication") or node.runtime.config.get("tls-replication")
        return {**_link(node.runtime.info), "over_tls": replicates == "yes"}

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied where it follows nobody, or follows on that port."""
        if not state["host"]:
            return Reason("NoReplica", "the server follows nobody")
        stays = self._port == state["port"] and self._over_tls == state["over_tls"]
        if stays or self._port == 0:
            return Reason("InPlace", f"it follows on port {state['port']} already")
        return None

    def describe(self, state: State) -> Sequence[Change]:
        """Show the port before and after."""
        if state["port"] == self._port:
            transport = "over TLS" if self._over_tls else "in plaintext"
            says = f"The link to the primary is made anew on port {self._port}, {transport}."
            context = Line("context", f"replicaof {state['host']} {self._port}")
            return [
                Change(says, (Line("hunk", "@@ the running server, by CLIENT KILL @@"), context))
            ]
        lines = (
            Line("hunk", "@@ the running server, by REPLICAOF @@"),
            Line("del", f"replicaof {state['host']} {state['port']}"),
            Line("add", f"replicaof {state['host']} {self._port}"),
        )
        return [Change("The link to the primary is made anew, on the other port.", lines)]

    def apply(self, node: NodeSession, state: State) -> str:
        """Follow so, and wait until the link is up."""
        return _follow(node, state, state["host"], self._port)

    def undo(self, node: NodeSession, before: State) -> str:  # noqa: ARG002 -- the step's signature
        """Nothing yet: tls-replication goes back after this, and `settle` makes the link anew."""
        return "to be linked as before"

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """Back, follow on the former port again."""
        if goal is Goal.FORWARD or before is None:
            return None
        now = _link(_replication(node))
        same = now["port"] == before["port"] and self._over_tls == before["over_tls"]
        if now["host"] != before["host"] or same:
            return None
        return _follow(node, now, before["host"], before["port"])


def _follow(node: NodeSession, now: State, host: str, port: int) -> str:
    """Raises StepFailed where the link does not come up."""
    began = time.monotonic()
    if now["port"] == port:
        node.redis().execute("CLIENT", "KILL", "TYPE", "master")
    else:
        node.redis().execute("REPLICAOF", host, port)
    wait_for_link(node, f"{host}:{port}")
    took = time.monotonic() - began
    return f"follows {host}:{port}, the link was up again after {took * 1000:.0f} ms"


def wait_for_link(node: NodeSession, place: str) -> None:
    """Wait until a replica's link is up.

    Raises:
        StepFailed: It does not come up.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while (info := _replication(node)).get("master_link_status") != "up":
        # Its data comes as a whole where it cannot go on from where it was.
        if time.monotonic() > deadline and info.get("master_sync_in_progress", "0") == "0":
            raise StepFailed(
                Reason(
                    "LinkDown",
                    f"{node.name}: the link to its primary {place} does not come up.",
                    "The logs of both servers say why.",
                )
            )
        time.sleep(_POLL_SECONDS)


def _replication(node: NodeSession) -> Mapping[str, str]:
    return parse_info(str(node.redis().execute(*_INFO)))


def _link(info: Mapping[str, str]) -> State:
    replica = info.get("role") == "slave"
    host = info.get("master_host", "") if replica else ""
    return {"host": host, "port": int(info.get("master_port", "0")) if replica else 0}
