"""A cluster: what stands in the way of changing how its nodes speak, and the proof afterwards."""

import time
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
    tells_links,
    turns,
)
from addons.encryption.history import History
from addons.encryption.issuer import Issuer
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.link import wait_for_link
from addons.engine.step import StepFailed
from addons.session import NodeSession
from instances.nodeconf.topology.seen import ClusterNode, ClusterSeen, Down
from instances.reason import Reason
from instances.remote.server import open_redis
from instances.remote.tls_stream import TlsClient

SHORTEST_TIMEOUT_MS = 2000
"""A node's links are made anew within some 0.7 s; who is silent for longer is taken for dead."""
_ANNOUNCED = ("cluster-announce-port", "cluster-announce-tls-port", "cluster-announce-bus-port")
_WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.1


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
    if not crosses(node.runtime, former, after):
        return
    if not live:
        yield Reason(
            "ClusterNeedsLive",
            f"{node.name}: it would have to restart, and nodes that restart one by one cannot "
            "change at one moment.",
            "Choose apply=live, and let the panel's user use CONFIG.",
        )
    seen = cluster_of(node)
    if seen is None:
        yield Reason(
            "ClusterSilent",
            f"{node.name}: it does not say who its cluster's nodes are.",
            "Let the panel's user run CLUSTER NODES and CLUSTER INFO.",
        )
        return
    yield from _ill(node, seen)
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


def _ill(node: NodeSession, seen: ClusterSeen) -> Iterator[Reason]:
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
            "Move them into this group: “Move” on the node's page, or manage.py node move.",
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


def cluster_proof(
    node: NodeSession, issuer: Issuer, served: EncryptionSpec | None, company: Company
) -> list[str]:
    """Return what proves that the cluster is whole, and that everybody is shown the right door.

    Args:
        node: One of its nodes.
        issuer: Of the certificates.
        served: The settings in force; None where TLS is off.
        company: Those whom the settings are for: the cluster's other nodes may have others.

    Raises:
        StepFailed: It is not.
    """
    # Before 7.2 it takes half the node timeout until all have heard of a node's ports.
    patience = _WAIT_SECONDS + int(node.runtime.config.get("cluster-node-timeout") or 0) / 1000
    deadline = time.monotonic() + patience
    while why := _missing(node, issuer, served, company):
        if time.monotonic() > deadline:
            raise StepFailed(
                Reason(
                    "ClusterNotWhole",
                    f"{node.name}: {why}.",
                    "CLUSTER INFO and CLUSTER NODES there say more, and so do the servers' logs.",
                )
            )
        time.sleep(_POLL_SECONDS)
    info, seen = node.runtime.info, cluster_of(node)
    if seen is not None and alone(seen):
        return ["it has met no other node of a cluster yet"]
    if info.get("role") != "slave":
        return ["the cluster is whole"]
    place = f"{info.get('master_host')}:{info.get('master_port')}"
    wait_for_link(node, place)
    return [f"the cluster is whole, the replication link to {place} is up"]


def _missing(
    node: NodeSession, issuer: Issuer, served: EncryptionSpec | None, company: Company
) -> str:
    """Return what is not as it should be, by a fresh look; empty where all is."""
    info = node.read_runtime().info
    seen = cluster_of(node)
    if seen is None or not (seen.ok or alone(seen)):
        return "its cluster is not well (cluster_state is not ok)"
    apart = [each for each in seen.nodes if not (each.linked or each.id == seen.me)]
    if apart:
        return f"it has no link to {apart[0].place}"
    over_tls = served is not None and served.clusters_over_tls
    port = node.runtime.config.get("tls-port" if over_tls else "port", "")
    followed = info.get("master_port", port)
    primary = next((each.primary for each in seen.nodes if each.id == seen.me), "")
    if primary in company.met and followed != port:
        return f"it follows its primary on port {followed}, not on {port}"
    return _misdirected(node, issuer, served, company) if served else ""


def _misdirected(
    node: NodeSession, issuer: Issuer, served: EncryptionSpec, company: Company
) -> str:
    """Return where TLS clients would be sent wrongly; empty where they are not."""
    name = node.brief.client_addresses[0]
    client = open_redis(
        node.host,
        name,
        served.tls_port,
        username=node.brief.username or None,
        password=node.brief.password or None,
        tls=TlsClient(name, issuer.trusted, node.brief.introduce()),
    )
    try:
        rows = client.execute("CLUSTER", "SLOTS")
    finally:
        client.close()
    servers = [server for row in rows for server in row[2:]]
    ports = {int(server[1]) for server in servers if server[2] in company.met}
    wrong = ports - {served.tls_port}
    return f"it sends TLS clients to port {min(wrong)}" if wrong else ""
