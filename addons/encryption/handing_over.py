"""Hands a primary's role to a replica, with writes held back until the replica has them all."""

import time

from addons.encryption.cluster import cluster_of, in_cluster
from addons.encryption.handing_by_sentinels import by_sentinels, keep_primary
from addons.encryption.handover import heirs_linked, not_handed_over
from addons.encryption.links import is_replica
from addons.encryption.party import Party, replication_of, wait
from addons.encryption.steps.link import wait_for_link
from addons.session import NodeSession
from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.cluster import cluster_seen
from instances.nodeconf.topology.seen import ClusterSeen
from instances.remote.errors import RemoteError, ServerRefused

_ELECTION_SECONDS = 6.0
"""A manual failover is given up by the servers after five (redis 7.0 src/cluster.h)."""
_AGREED_SECONDS = 20.0
_POLL_SECONDS = 0.02


def hand_over(node: NodeSession, party: Party) -> str:
    """Have a replica take the role over, where the node has it now, and say who has it.

    All of them are asked who they are now: roles may have moved since the plan was made.

    Raises:
        StepFailed: Nobody takes it over.
        RemoteError: The server does not answer, or refuses.
    """
    with party.turn:
        for each in party.servers:
            _look(each)
        if is_replica(node):
            return f"follows {_remembered(node)} already"
        began = time.monotonic()
        by = _by_cluster if in_cluster(node.runtime) else by_sentinels
        heir = by(node, party)
        for each in (node, heir):
            each.read_runtime()
        return f"{heir.name} has taken the role over, in {(time.monotonic() - began) * 1000:.0f} ms"


def remember_primary(node: NodeSession) -> None:
    """Have the file of a server that has handed its role over name whom it follows.

    An earlier attempt may have ended between the two.
    """
    if is_replica(node) and node.server.primary is None:
        _remembered(node)


def _remembered(node: NodeSession) -> Place:
    info = node.runtime.info
    place = Place(info["master_host"], int(info["master_port"]))
    if not in_cluster(node.runtime):
        keep_primary(node, place)
    return place


def _look(node: NodeSession) -> None:
    """Read anew who a server is; one that does not answer is what it was."""
    try:
        node.read_runtime()
    except RemoteError:
        node.forget_server()


def _by_cluster(node: NodeSession, party: Party) -> NodeSession:
    """Have the cluster move the slots: it holds writes back by itself meanwhile.

    Once more where the others do not vote for it: about one primary they do so once in two node
    timeouts (redis 7.0.15 src/cluster.c, clusterSendFailoverAuthIfNeeded).
    """
    heir = heirs_linked(node, party)[0]
    if not _elected(heir):
        time.sleep(2 * int(node.runtime.config.get("cluster-node-timeout") or 15_000) / 1000)
        if not _elected(heirs_linked(node, party)[0]):
            raise not_handed_over(node, f"{heir.name} was not elected")
    if not wait(lambda: all(_knows(each, node, heir) for each in party.servers), _AGREED_SECONDS):
        raise not_handed_over(
            node, f"not every node of the cluster knows yet that {heir.name} has it"
        )
    wait_for_link(node, heir.name)
    return heir


def _elected(heir: NodeSession) -> bool:
    """Have a replica ask for its primary's role, and say whether it got it."""
    answer = heir.redis().pipeline([("CLUSTER", "FAILOVER")])[0]
    if isinstance(answer, ServerRefused) and replication_of(heir).get("role") != "master":
        raise answer
    return wait(lambda: replication_of(heir).get("role") == "master", _ELECTION_SECONDS)


def _knows(teller: NodeSession, former: NodeSession, heir: NodeSession) -> bool:
    """Say whether a node of the cluster knows the new roles, and finds the cluster well."""
    try:
        told, info = teller.redis().pipeline([("CLUSTER", "NODES"), ("CLUSTER", "INFO")])
    except RemoteError:
        teller.forget_server()
        return True
    seen = cluster_seen(str(told), str(info))
    roles = {each.id: each.primary for each in seen.nodes} if seen else {}
    new, old = _id(heir), _id(former)
    # Who is in another cluster, or may not be asked, has no say in it.
    return new not in roles or (
        seen is not None and seen.ok and not roles[new] and roles[old] == new
    )


def _id(node: NodeSession) -> str:
    seen: ClusterSeen | None = cluster_of(node)
    return seen.me if seen else ""
