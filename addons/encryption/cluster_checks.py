"""A cluster: what stands in the way of changing how its nodes speak."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network

from addons.encryption.cluster import (
    BUS_OFFSET,
    Company,
    alone,
    bus_port,
    cluster_of,
    crosses,
    in_cluster,
    redirects_by_transport,
    stays,
    tells_links,
    turns,
)
from addons.encryption.history import History
from addons.encryption.spec import EncryptionSpec
from addons.session import NodeSession
from instances.nodeconf.topology.seen import ClusterNode, ClusterSeen, Down
from instances.reason import Reason

SHORTEST_TIMEOUT_MS = 2000
"""A node's links are made anew within some 0.7 s; who is silent for longer is taken for dead."""
_ANNOUNCED = ("cluster-announce-port", "cluster-announce-tls-port", "cluster-announce-bus-port")


def setting_obstacles(node: NodeSession, spec: EncryptionSpec) -> Iterator[Reason]:
    """Yield why these settings do not fit the node: in a cluster, or in none."""
    clustered = in_cluster(node.runtime)
    if spec.clusters_over_tls and not clustered:
        yield Reason(
            "NoCluster",
            f"{node.name}: it is part of no cluster.",
            "Keep tls_cluster=off; for replicas choose tls_replication=on.",
        )
    if spec.replicates_over_tls and clustered:
        yield Reason(
            "Cluster",
            f"{node.name}: in a cluster replicas follow over TLS when the nodes speak TLS.",
            "Keep tls_replication=off, and choose tls_cluster=on.",
        )
    if not clustered:
        return
    if spec.clusters_over_tls and not tells_links(node.server):
        yield Reason(
            "ClusterTooOld",
            f"{node.name}: {node.server.product} {node.server.version_text} does not tell which of "
            "its links are old, so it cannot be proven that none is in plaintext.",
            "Upgrade to Redis 7.0 or later, or Valkey.",
        )
    between = tells_links(node.server) and not redirects_by_transport(node.server)
    if between and not spec.clusters_over_tls:
        yield Reason(
            "ClusterRedirects",
            f"{node.name}: with tls_cluster=off {node.server.version_text} redirects TLS clients, "
            "too, to the plain port.",
            "Choose tls_cluster=on, from the start; or upgrade to Redis 7.2 or later, or Valkey.",
        )


def redirect_warnings(
    node: NodeSession, spec: EncryptionSpec, history: History
) -> Iterator[Reason]:
    """Yield whose clients could not follow a redirection to a plain port that is closed."""
    if not spec.tls_only or node.runtime.config.get("port") != str(history.plain_port):
        return
    there = sorted({each.place for each in node.brief.neighbours.values()})
    if in_cluster(node.runtime) and there:
        yield Reason(
            "ClusterPlainClients",
            f"{node.name}: its cluster has nodes in {', '.join(there)}, too. Their clients in "
            "plaintext are redirected to it, and cannot follow once its plain port is closed.",
            "Move these clients to TLS first.",
        )


def crossing_obstacles(
    node: NodeSession,
    company: Company,
    history: History,
    former: EncryptionSpec | None,
    after: EncryptionSpec | None,
    *,
    live: bool,
) -> Iterator[Reason]:
    """Yield why the nodes of this cluster cannot change at one moment now.

    Args:
        node: One of them.
        company: All of them that the run is about, once they have been met.
        history: What the add-on has changed there before.
        former: The settings in force; None where the add-on is not on.
        after: The settings to come; None for an uninstall.
        live: Whether the running server can take the change.
    """
    if not crosses(node.runtime, former, after) or (not live and stays(former, after)):
        return
    if not live:
        yield Reason(
            "ClusterNeedsLive",
            f"{node.name}: it would have to restart, and nodes that restart one by one cannot "
            "change at one moment.",
            "Choose apply=live, and let the panel's user use CONFIG.",
        )
    yield from cluster_ills(node)
    seen = cluster_of(node)
    if seen is None:
        return
    yield from _apart(node, seen, company)
    if turns(node, history, former, after):
        yield from _cut_off(node, [each for each in seen.nodes if each.id not in company.met])
    if bus_port(node.facts, node.runtime, history) == 0:
        yield Reason(
            "BusPortUnknown",
            f"{node.name}: its bus listens neither {BUS_OFFSET} above its plain port nor on its "
            "cluster-port, so it could not be kept where it is.",
            "Restart the node with its present configuration, and try again.",
        )
    yield from _settings(node, ours=history.bus_moved)
    yield from _shut_out(node, seen, former, after)


def cluster_ills(node: NodeSession) -> Iterator[Reason]:
    """Yield what is not well with a node's cluster, as it tells itself."""
    seen = cluster_of(node)
    if seen is None:
        yield Reason(
            "ClusterSilent",
            f"{node.name}: it does not say who its cluster's nodes are.",
            "Let the panel's user run CLUSTER NODES and CLUSTER INFO.",
        )
        return
    if not (seen.ok or alone(seen)):
        yield Reason(
            "ClusterDown",
            f"{node.name}: its cluster is not well (cluster_state is not ok).",
            "Mend the cluster first: CLUSTER INFO and CLUSTER NODES say what is missing.",
        )
    for other in seen.nodes:
        if other.down is not Down.NO or not (other.linked or other.id == seen.me):
            yield Reason(
                "MemberDown",
                f"{node.name}: {other.place} is not reached by it, so it would be cut off.",
                "Start that node again, or take it out of the cluster with CLUSTER FORGET.",
            )
    info = node.runtime.info
    if info.get("role") == "slave" and info.get("master_link_status") != "up":
        yield Reason(
            "LinkDown",
            f"{node.name}: the link to its primary is down.",
            "Its log says why; with a password, masterauth has to be that of the primary.",
        )


def _cut_off(node: NodeSession, outside: Sequence[ClusterNode]) -> Iterator[Reason]:
    """Yield who would lose this node: who is in its cluster, and not in the run."""
    neighbours = node.brief.neighbours
    strangers = [str(each.place) for each in outside if each.id not in neighbours]
    if strangers:
        yield Reason(
            "ClusterStrangers",
            f"{node.name}: {_are(strangers)} of its cluster not managed here, and would be cut "
            "off.",
            "Add every node of the cluster to the group.",
        )
    known = [neighbours[each.id] for each in outside if each.id in neighbours]
    beside = [str(each) for each in known if each.beside]
    if beside:
        yield Reason(
            "ClusterOtherGroup",
            f"{node.name}: {_are(beside)} of its cluster in another group, and would be cut off: "
            "all nodes of a cluster change at one moment, in one run.",
            "Move them into this group: “Edit” on a node's page, or manage.py node move.",
        )
    elsewhere = [str(each) for each in known if not each.beside]
    if elsewhere:
        yield Reason(
            "ClusterElsewhere",
            f"{node.name}: {_are(elsewhere)} of its cluster in another environment, and would be "
            "cut off: all nodes of a cluster change at one moment, in one run.",
            "Take these or those out of the cluster first: move their slots to nodes that stay "
            "(redis-cli --cluster reshard), then CLUSTER RESET there and CLUSTER FORGET elsewhere.",
        )


def _are(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'are' if len(names) > 1 else 'is'}"


def _apart(node: NodeSession, seen: ClusterSeen, company: Company) -> Iterator[Reason]:
    known = {other.id for other in seen.nodes}
    met = {number for number, told in company.met.items() if not alone(told)}
    if not alone(seen) and met - known:
        yield Reason(
            "TwoClusters",
            f"{node.name}: not all nodes of the group are in its cluster.",
            "Make a group of each cluster.",
        )
    if len(company.modern) > 1:
        yield Reason(
            "MixedVersions",
            f"{node.name}: the cluster has nodes from before Redis 7.2 and later ones, which read "
            "each other's ports differently.",
            "Upgrade all of them first.",
        )


def _settings(node: NodeSession, *, ours: bool) -> Iterator[Reason]:
    config = node.runtime.config
    timeout = int(config.get("cluster-node-timeout") or 0)
    if timeout < SHORTEST_TIMEOUT_MS:
        yield Reason(
            "NodeTimeoutShort",
            f"{node.name}: its cluster-node-timeout is {timeout} ms, so a short silence could be "
            "taken for a failure.",
            f"CONFIG SET cluster-node-timeout {SHORTEST_TIMEOUT_MS} or more, on every node.",
        )
    announced = [name for name in _ANNOUNCED if config.get(name, "0") != "0"]
    if announced and not ours:
        yield Reason(
            "PortsAnnounced",
            f"{node.name}: it announces ports of its own ({', '.join(announced)}), as behind an "
            "address translation, which Redoubt cannot lead to TLS.",
            "Keep tls_cluster=off.",
        )


def _shut_out(
    node: NodeSession, seen: ClusterSeen, *specs: EncryptionSpec | None
) -> Iterator[Reason]:
    """Yield whom the rule for the TLS port would keep from replicating."""
    networks = [ip_network(text) for spec in specs if spec for text in spec.networks]
    if not networks:
        return
    for other in seen.nodes:
        try:
            address = ip_address(other.place.address)
        except ValueError:
            continue
        if not any(address in network for network in networks):
            yield Reason(
                "NodeShutOut",
                f"{node.name}: {address} of its cluster is in none of the networks that the TLS "
                "port is open to, so it could not replicate.",
                "Add the nodes' own network to “Open to”.",
            )
