"""Who follows whom in a made-up group: its first node is the primary of all others."""

from collections.abc import Sequence
from hashlib import sha256

from instances.models import Node, NodeTopology
from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.seen import Follower, Following, Role, Seen, seen_json

_PORT = 6379
_LAG = 300
"""Bytes that each replica is behind the one before it."""


def topology(nodes: Sequence[Node]) -> list[NodeTopology]:
    """Return what the nodes of a group told of each other at their last answer.

    Who has never answered told nothing.
    """
    primary, *replicas = nodes
    data = sha256(str(primary).encode()).hexdigest()[:40]
    offset = _LAG * (len(nodes) + primary.pk)
    told = {primary.pk: _primary(data, offset, replicas)}
    for number, each in enumerate(replicas, start=1):
        told[each.pk] = _replica(data, offset - _LAG * number, primary)
    return [
        NodeTopology(
            node=each,
            hosts=[each.client_addresses[-1]],
            ports=[_PORT],
            seen=seen_json(told[each.pk]),
            seen_at=each.facts_at,
        )
        for each in nodes
        if each.facts_at is not None
    ]


def _place(node: Node) -> Place:
    return Place(node.client_addresses[-1], _PORT)


def _primary(data: str, offset: int, replicas: Sequence[Node]) -> Seen:
    followers = tuple(
        Follower(_place(each), online=True, offset=offset - _LAG * number, idle=0)
        for number, each in enumerate(replicas, start=1)
    )
    return Seen(
        Role.PRIMARY,
        run_id=data,
        port=_PORT,
        tls_port=0,
        histories=(data,),
        offset=offset,
        replicates_over_tls=False,
        followers=followers,
        sentinels=(),
    )


def _replica(data: str, offset: int, primary: Node) -> Seen:
    return Seen(
        Role.REPLICA,
        port=_PORT,
        tls_port=0,
        histories=(data,),
        offset=offset,
        replicates_over_tls=False,
        following=Following(_place(primary), up=True, idle=0, syncing=False),
        sentinels=(),
    )
