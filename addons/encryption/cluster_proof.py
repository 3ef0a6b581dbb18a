"""The proof that a cluster is whole after a change, and shows everybody the right door."""

import time

from addons.encryption.cluster import Company, alone, cluster_of
from addons.encryption.issuer import Issuer
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.link import wait_for_link
from addons.engine.step import StepFailed
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.server import open_redis
from instances.remote.tls_stream import TlsClient

_WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.1


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
    # Where CONFIG is refused, no port is known.
    if port and primary in company.met and followed != port:
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
