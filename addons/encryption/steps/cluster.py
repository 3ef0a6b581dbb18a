"""The running server of a cluster's node: changed with all others at one moment."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from addons.encryption.bus import LIMIT, await_links, renew_links
from addons.encryption.cluster import Company, redirects_by_transport
from addons.encryption.steps.certificate import IssueCertificates
from addons.encryption.steps.leftover import LeftoverSessions
from addons.encryption.steps.runtime import RunningServer
from addons.engine.step import Change, Goal, State
from addons.session import NodeSession


class ClusterServer(RunningServer):
    """Makes the server of a node say what is wanted, at the moment at which its fellows do.

    The links between the nodes are made anew after that, when everybody has changed: in `settle`.

    Args:
        wanted: As of any running server.
        company: The nodes of the run.
        certificates: The step that may replace what the server loaded.
        leftover: The step that ends the sessions on a port that this one closes.
    """

    together = True

    def __init__(
        self,
        wanted: Mapping[str, str],
        *,
        company: Company,
        certificates: IssueCertificates | None = None,
        leftover: LeftoverSessions | None = None,
    ) -> None:
        super().__init__(wanted, certificates=certificates, leftover=leftover)
        self._company = company
        self._changed: float | None = None

    def inspect(self, node: NodeSession) -> State:
        """Return what any running server does, and what else is set for a moment."""
        return {**super().inspect(node), "limit": node.runtime.config.get(LIMIT, "0")}

    def describe(self, state: State) -> Sequence[Change]:
        """Show the settings that change, and say how."""
        (change,) = super().describe(state)
        says = (
            "Applied live, on all nodes of the cluster at one moment; then the links between them "
            "are made anew. No restart, no failover."
        )
        return [replace(change, says=says)]

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """See to the server, then to its links."""
        said = super().settle(node, goal, before)
        if before is None:
            return said
        if redirects_by_transport(node.server):
            # One node at a time, so that a worker that dies leaves one of them half-way.
            with self._company.turn:
                renewed = renew_links(node, before["limit"])
        else:
            other = _announced(node, before["values"]) != _announced(node, self._wanted)
            renewed = await_links(node, self._changed, heard_of=other)
        return "; ".join(filter(None, (said, renewed)))

    def _set(
        self,
        node: NodeSession,
        values: Mapping[str, str],
        closing: LeftoverSessions | None = None,
    ) -> None:
        turns = values.get("tls-cluster") != node.runtime.config.get("tls-cluster")
        began = time.monotonic()
        super()._set(node, values, closing)
        # Any other change leaves the links as they are.
        self._changed = began if turns else self._changed


def _announced(node: NodeSession, values: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the ports that a node announces to its peers (redis 7.0.15 src/cluster.c:527-543)."""
    config = {**node.runtime.config, **values}
    if config.get("tls-cluster") == "yes":
        return config.get("tls-port"), config.get("port")
    return config.get("port"), "0"
