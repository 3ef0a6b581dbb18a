"""Who takes a primary's role over before it restarts, and what stands in the way: looks alone."""

from collections.abc import Iterator

from addons.encryption.cluster import cluster_of, in_cluster
from addons.encryption.cluster_checks import cluster_ills
from addons.encryption.copies import short_backlog
from addons.encryption.fellows import fellows_of
from addons.encryption.party import Party, hosts_of
from addons.encryption.persistence import writes_down
from addons.encryption.steps.link import wait_for_link
from addons.encryption.watching import watch_problems, watches
from addons.engine.step import StepFailed
from addons.session import NodeSession
from instances.nodeconf.client_list import Place
from instances.nodeconf.facts import ServerFacts
from instances.nodeconf.topology.known import plain_host
from instances.nodeconf.topology.seen import Role
from instances.reason import Reason
from instances.remote.errors import RemoteError

PAUSES_WRITES = (6, 2)
"""From here on CLIENT PAUSE spares who only reads, and Sentinels (redis 6.2 src/networking.c)."""


def is_followed(node: NodeSession) -> bool:
    """Say whether the server is a primary with replicas."""
    info = node.runtime.info
    return info.get("role") == "master" and info.get("connected_slaves", "0") != "0"


def pauses_writes(server: ServerFacts) -> bool:
    """Say whether the server can hold writes back and go on with everything else."""
    return server.product == "valkey" or server.version >= PAUSES_WRITES


def hands_over(node: NodeSession) -> bool:
    """Say whether a replica takes the role over before the server restarts.

    Only where somebody tells its clients: the cluster does, and Sentinels do. Clients of a plain
    primary know its address alone, and would go on writing to a replica.
    """
    if not is_followed(node):
        return False
    return in_cluster(node.runtime) or (fellows_of(node).watched and pauses_writes(node.server))


def heirs_named(node: NodeSession) -> list[str]:
    """Return the names of those who may take over, as the primary itself tells, for a preview."""
    seen = node.runtime.seen
    if seen is None or not hands_over(node):
        return []
    return sorted(
        {name for each in seen.followers if each.online for name in _names(node, each.place)}
    )


def _names(node: NodeSession, place: Place) -> list[str]:
    host = plain_host(place.address)
    there = [
        each
        for each in node.brief.fellows
        if host in map(plain_host, each.hosts)
        and each.key != node.brief.node
        and not (each.seen and each.seen.role is Role.SENTINEL)
    ]
    # Who speaks TLS since the latest look announces a port that is not known yet.
    exact = [each for each in there if place.port in each.ports]
    return [each.name for each in exact or there]


def may_take_over(node: NodeSession, party: Party) -> list[NodeSession]:
    """Return the replicas that could have the role, as they were seen last.

    Sentinels never choose one whose replica-priority is 0.
    """
    copies = party.copies_of(node)
    if in_cluster(node.runtime):
        return [each for each in copies if not _lasts_less(each, node)]
    return [each for each in copies if each.runtime.info.get("slave_priority") != "0"]


def heirs_linked(node: NodeSession, party: Party) -> list[NodeSession]:
    """Return who may take over, once each of them is linked.

    Raises:
        StepFailed: Nobody may, or one does not come up.
    """
    heirs = may_take_over(node, party)
    if not heirs:
        raise not_handed_over(node, "none of its replicas may take over")
    for heir in heirs:
        wait_for_link(heir, node.name)
    return heirs


def not_handed_over(node: NodeSession, why: str) -> StepFailed:
    """Return the failure of a handover."""
    return StepFailed(
        Reason(
            "NotHandedOver",
            f"{node.name}: its role was not handed over before its restart: {why}.",
            "Its own log, and those of its replicas and Sentinels, say more.",
        )
    )


def _lasts_less(heir: NodeSession, node: NodeSession) -> bool:
    return writes_down(node) and not writes_down(heir)


def handover_obstacles(node: NodeSession, party: Party) -> Iterator[Reason]:
    """Yield why a server must not restart now, where others could have to stand in for it.

    Args:
        node: A server that a run restarts.
        party: The nodes of the run, all of them met.
    """
    if party.begun:
        # Who an earlier attempt restarted a moment ago need not be back yet: that is waited for.
        return
    if in_cluster(node.runtime):
        yield from cluster_ills(node)
    elif is_followed(node):
        yield from _watch_obstacles(node, party)
    if not hands_over(node):
        return
    heirs = may_take_over(node, party)
    if not heirs or not heirs_named(node):
        yield _nobody(
            node,
            "of its replicas none is in this group, may be promoted, and writes its data to disk "
            "as it does",
        )
    if not in_cluster(node.runtime):
        for heir in heirs:
            if _lasts_less(heir, node):
                yield _nobody(
                    node, f"the Sentinels may choose {heir.name}, which writes nothing to disk"
                )
    for heir in heirs:
        yield from short_backlog(heir, node.runtime.info)


def _nobody(node: NodeSession, why: str) -> Reason:
    return Reason(
        "NobodyTakesOver",
        f"{node.name}: it has to restart, and nobody can take its role over before: {why}.",
        "Bring its replicas into the group and up, with a replica-priority above 0 under "
        "Sentinels, and with a save point or appendonly where the primary has one.",
    )


def _watch_obstacles(node: NodeSession, party: Party) -> Iterator[Reason]:
    seen, fellows = node.runtime.seen, fellows_of(node)
    places = seen.sentinels if seen and seen.sentinels else ()
    outside = sorted({each.address for each in places} - fellows.sentinels)
    if outside:
        yield Reason(
            "SentinelWatches",
            f"{node.name}: it has to restart, and a Sentinel at {', '.join(outside)} watches it, "
            "which could take it for down.",
            "Add every Sentinel to this group first: then the role is handed over before.",
        )
    if not hands_over(node):
        return
    watched = False
    for sentinel in party.sentinels:
        try:
            found = [each for each in watches(sentinel) if each.servers[0] in hosts_of(node)]
        except RemoteError as error:
            yield Reason("NotHealthy", f"{sentinel.name}: {error}", "Bring everybody up first.")
            continue
        watched = watched or bool(found)
        for each in found:
            yield from watch_problems(sentinel, each)
    if not watched:
        yield _nobody(node, "no Sentinel of the group watches it")


def handover_warnings(node: NodeSession) -> Iterator[Reason]:
    """Yield that clients are without a server while it restarts: nobody stands in for it."""
    if is_followed(node) and fellows_of(node).watched and not hands_over(node):
        yield Reason(
            "RestartsInPlace",
            f"{node.name}: {node.server.version_text} cannot hold writes back without holding back "
            "its Sentinels, so its role stays where it is, and clients are without it meanwhile.",
        )
    seen = cluster_of(node)
    own = [each for each in seen.nodes if each.id == seen.me] if seen else []
    if own and own[0].slots and not is_followed(node):
        yield Reason(
            "NobodyStandsIn",
            f"{node.name}: it has no replica, so its slots are not served while it restarts.",
        )
