"""A cluster's nodes among themselves: what each is to be set to, and who they are. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from addons.encryption.history import History
from addons.encryption.spec import EncryptionSpec
from addons.session import NodeSession
from instances.nodeconf.facts import NodeFacts, ServerFacts
from instances.nodeconf.topology.seen import ClusterSeen
from instances.runtime import RuntimeFacts

BUS_OFFSET = 10000
"""Where a server's bus is, above its port, unless it is told otherwise (redis.conf)."""
BY_CLIENTS_TRANSPORT = (7, 2)
"""From here on redirections name the port that is of the client's own kind (REDIS_FACTS 5)."""
TELLS_LINKS = (7, 0)
"""From here on CLUSTER LINKS tells of each link since when it is there, and cluster-port exists."""


@dataclass(slots=True)
class Company:
    """The nodes of one run that are in a cluster.

    Args:
        met: By the id that the cluster knows a node by, what that node calls the others.
        modern: Of each, whether it redirects clients by their transport.
        turn: Held by the node whose links are made anew: one at a time.
    """

    met: dict[str, ClusterSeen] = field(default_factory=dict)
    modern: set[bool] = field(default_factory=set)
    turn: Lock = field(default_factory=Lock)

    def join(self, node: NodeSession) -> None:
        """Be one of them, where the node is in a cluster."""
        seen = cluster_of(node)
        if seen is not None:
            self.met[seen.me] = seen
            self.modern.add(redirects_by_transport(node.server))


def in_cluster(runtime: RuntimeFacts) -> bool:
    """Say whether the server is a node of a cluster."""
    return runtime.info.get("cluster_enabled") == "1"


def cluster_of(node: NodeSession) -> ClusterSeen | None:
    """Return what the node says of its cluster; None where it is in none, or does not say."""
    seen = node.runtime.seen
    return seen.cluster if seen is not None and in_cluster(node.runtime) else None


def alone(seen: ClusterSeen) -> bool:
    """Say whether a node has met no other yet, so that there is nobody to lose."""
    return len(seen.nodes) == 1


def turns(
    node: NodeSession,
    history: History,
    former: EncryptionSpec | None,
    after: EncryptionSpec | None,
) -> bool:
    """Say whether a node would speak to the others of its cluster as it does not now.

    One that is only set back to what the add-on has made of it does not: it is what the others know
    already.

    Args:
        history: What the add-on has changed there before.
        former: The settings in force; None where the add-on is not on.
        after: The settings to come; None for an uninstall.
    """
    wanted = after is not None and after.clusters_over_tls
    running = node.runtime.config.get("tls-cluster") == "yes"
    stays = former is not None and former.clusters_over_tls == wanted and history.bus_moved
    return running != wanted and not stays


def crosses(runtime: RuntimeFacts, *specs: EncryptionSpec | None) -> bool:
    """Say whether nodes have to change all at one moment: they speak TLS before or after.

    Args:
        runtime: The server.
        specs: The settings before and after.
    """
    return in_cluster(runtime) and any(spec and spec.clusters_over_tls for spec in specs)


def stays(former: EncryptionSpec | None, after: EncryptionSpec | None) -> bool:
    """Say whether a cluster's nodes go on speaking to each other as they do, on the same ports.

    Then they can change one by one, too.

    Args:
        former: The settings in force; None where the add-on is not on.
        after: The settings to come; None for an uninstall.
    """
    ways = {
        (spec.clusters_over_tls, spec.tls_only, spec.tls_port) for spec in (former, after) if spec
    }
    return former is not None and after is not None and len(ways) == 1


def redirects_by_transport(server: ServerFacts) -> bool:
    """Say whether the server names the port to a client that is of the client's own kind."""
    return server.product == "valkey" or server.version >= BY_CLIENTS_TRANSPORT


def tells_links(server: ServerFacts) -> bool:
    """Say whether the server tells of its links, and can be told its bus port."""
    return server.product == "valkey" or server.version >= TELLS_LINKS


def bus_port(facts: NodeFacts, runtime: RuntimeFacts, history: History) -> int:
    """Return the port on which the bus listens, which is chosen at a start and stays; 0 for none.

    What is announced is not asked: it is another one while the links are made anew.
    """
    own = int(runtime.config.get("cluster-port") or 0)
    usual = history.plain_port + BUS_OFFSET
    return next((port for port in (own, usual) if port in facts.ports_listened_on), 0)


def bus_directives(
    spec: EncryptionSpec, facts: NodeFacts, runtime: RuntimeFacts, history: History
) -> dict[str, str]:
    """Return what the running server is to have: its bus stays where it is, over TLS or not."""
    if not in_cluster(runtime):
        return {}
    if spec.clusters_over_tls:
        # Unpinned, a node with tls-cluster announces its TLS port + 10000, where nobody listens.
        pin = {"cluster-announce-bus-port": str(bus_port(facts, runtime, history))}
        return {**pin, "tls-replication": "yes", "tls-cluster": "yes"}
    if history.bus_moved:
        off = {"tls-replication": "no", "tls-cluster": "no"}
        return {**off, "cluster-announce-bus-port": "0"}
    return {}


def bus_line(
    spec: EncryptionSpec, facts: NodeFacts, runtime: RuntimeFacts, history: History
) -> Mapping[str, str | None]:
    """Return what the file is to say besides: a start with TLS would move the bus otherwise."""
    if not in_cluster(runtime):
        return {}
    if spec.clusters_over_tls:
        return {"cluster-port": str(bus_port(facts, runtime, history))}
    return {"cluster-port": None} if history.bus_moved else {}
