"""The nodes of one run, for what takes several of them: who copies whom, and who watches."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from addons.encryption.links import is_replica
from addons.session import NodeSession
from instances.remote.errors import RemoteError
from instances.runtime import parse_info

_POLL_SECONDS = 0.02


@dataclass(slots=True)
class Party:
    """The nodes of one run.

    Args:
        nodes: By their number, once they have been met.
        turn: Held by who hands its role over: one at a time, for an election needs the others.
    """

    nodes: dict[int, NodeSession] = field(default_factory=dict)
    turn: Lock = field(default_factory=Lock)

    def join(self, node: NodeSession) -> None:
        """Be one of them, by the connection that it has now."""
        self.nodes[node.brief.node] = node

    @property
    def begun(self) -> bool:
        """Whether an earlier attempt has begun with any of them."""
        return any(node.brief.begun for node in self.nodes.values())

    @property
    def servers(self) -> list[NodeSession]:
        """Those that hold data, by name."""
        there = [node for node in self.nodes.values() if not node.server.sentinel]
        return sorted(there, key=lambda node: node.name)

    @property
    def sentinels(self) -> list[NodeSession]:
        """Those that watch, by name."""
        there = [node for node in self.nodes.values() if node.server.sentinel]
        return sorted(there, key=lambda node: node.name)

    def copies_of(self, primary: NodeSession) -> list[NodeSession]:
        """Return the replicas that have a primary's data, as all of them were seen last."""
        data = primary.runtime.info.get("master_replid", "")
        return [
            node
            for node in self.servers
            if data and is_replica(node) and node.runtime.info.get("master_replid") == data
        ]


def replication_of(node: NodeSession) -> dict[str, str]:
    """Ask a server who it is to others now.

    Raises:
        RemoteError: It does not answer.
    """
    try:
        told = node.redis().execute("INFO", "replication")
    except RemoteError:
        # A Sentinel ends the connections to whom it promotes or demotes.
        node.forget_server()
        told = node.redis().execute("INFO", "replication")
    return parse_info(str(told))


def hosts_of(node: NodeSession) -> frozenset[str]:
    """Return the names and addresses by which others may speak of a server."""
    known = (each for each in node.brief.fellows if each.key == node.brief.node)
    own = {str(address.ip) for address in node.facts.addresses}
    return frozenset(own.union(node.brief.client_addresses, *(each.hosts for each in known)))


def wait(met: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so, and say whether it came to be."""
    deadline = time.monotonic() + seconds
    while not (there := met()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return there
