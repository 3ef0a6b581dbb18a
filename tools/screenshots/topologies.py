"""Who follows whom in the pictures: a replication, a group with Sentinels, a cluster of thirty."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256

from instances.models import Node, NodeGroup, NodeTopology
from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.seen import (
    ClusterNode,
    ClusterSeen,
    Down,
    Follower,
    Following,
    Role,
    Seen,
    Slots,
    Watch,
    Watched,
    seen_json,
)
from instances.topology import group_compare
from tools.screenshots.cast import Cast
from tools.screenshots.day import NOW

_AT = NOW - timedelta(minutes=4)
_PORT, _TLS, _SENTINEL, _BUS = 6379, 6380, 26379, 16379
_OFFSET = 48_208_114
_SHARDS, _OF = 10, 3
_DEAD, _FOREIGN = "catalogue-18", "10.20.99.41"


def topologies_tell(cast: Cast, groups: Mapping[str, NodeGroup]) -> None:
    """Tell of every sort of topology."""
    _replication(groups["shop-production/sessions"])
    _alone(groups["internal/metrics"])
    with cast.ago(days=45):
        orders = cast.group("shop-staging", "orders", 3, region="eu-west")
        watching = [cast.node(orders, f"sentinel-{n}", cast.ada) for n in (1, 2, 3)]
        catalogue = cast.group("shop-staging", "catalogue", _SHARDS * _OF)
    _sentinels(orders, watching)
    _cluster(catalogue)
    for each in (orders, catalogue):
        group_compare(group=each.pk)


def _tell(node: Node, seen: Seen) -> None:
    host = node.machine.address
    NodeTopology.objects.create(
        node=node, hosts=[host], ports=[_PORT, _TLS], seen=seen_json(seen), seen_at=_AT
    )


def _nodes(group: NodeGroup) -> list[Node]:
    nodes = group.nodes.exclude(name__startswith="sentinel").select_related("machine")
    return sorted(nodes, key=lambda node: int(node.name.rpartition("-")[2]))


def _place(node: Node, port: int = _PORT) -> Place:
    return Place(node.machine.address, port)


def _id(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:40]


def _primary(group: NodeGroup, followers: Sequence[Follower]) -> Seen:
    return Seen(
        Role.PRIMARY,
        run_id=_id(f"{group} primary"),
        port=_PORT,
        tls_port=_TLS,
        histories=(_id(str(group)),),
        offset=_OFFSET,
        replicates_over_tls=True,
        followers=tuple(followers),
        sentinels=(),
    )


def _replica(group: NodeGroup, of: Node, port: int, *, up: bool = True) -> Seen:
    return Seen(
        Role.REPLICA,
        port=_PORT,
        tls_port=_TLS,
        histories=(_id(str(group)),),
        offset=_OFFSET,
        replicates_over_tls=port == _TLS,
        following=Following(_place(of, port), up=up, idle=1 if up else None, syncing=False),
        sentinels=(),
    )


def _replication(group: NodeGroup) -> None:
    """A primary with a replica over TLS, one still in plaintext, and one of somebody else."""
    first, second, third = _nodes(group)
    followers = [
        Follower(_place(second, _TLS), online=True, offset=_OFFSET, idle=0),
        Follower(_place(third), online=True, offset=_OFFSET - 18_432, idle=1),
        Follower(Place("10.20.99.7", _PORT), online=True, offset=_OFFSET - 512, idle=1),
    ]
    _tell(first, _primary(group, followers))
    _tell(second, _replica(group, first, _TLS))
    _tell(third, _replica(group, first, _PORT))


def _alone(group: NodeGroup) -> None:
    for node in _nodes(group):
        _tell(node, Seen(Role.PRIMARY, run_id=_id(node.name), port=_PORT, sentinels=()))


def _sentinels(group: NodeGroup, watching: Sequence[Node]) -> None:
    """Three servers and three Sentinels, of which one finds another primary than the others."""
    first, second, third = _nodes(group)
    followers = [Follower(_place(each), online=True, offset=_OFFSET, idle=0) for each in (second,)]
    _tell(first, _primary(group, followers))
    _tell(second, _replica(group, first, _PORT))
    _tell(third, _replica(group, first, _PORT, up=False))
    for node in watching:
        fellows = [Watched(_place(x, _SENTINEL), _id(x.name), Down.NO) for x in watching]
        named = second if node is watching[2] else first
        others = [each for each in (first, second, third) if each is not named]
        watch = Watch(
            name="orders",
            primary=Watched(_place(named), "", Down.NO),
            quorum=2,
            epoch=7,
            replicas=tuple(Watched(_place(x), _id(x.name), Down.NO) for x in others),
            sentinels=tuple(x for x in fellows if x.id != _id(node.name)),
        )
        seen = Seen(
            Role.SENTINEL,
            sentinel_id=_id(node.name),
            port=_SENTINEL,
            tls_port=0,
            replicates_over_tls=False,
            watches=(watch,),
        )
        _tell(node, seen)


def _cluster(group: NodeGroup) -> None:
    """Ten shards of three; one replica is down, and a node is not managed here."""
    nodes = _nodes(group)
    dead = next(each for each in nodes if each.name == _DEAD)
    told = tuple(_cluster_node(index, node, nodes, dead) for index, node in enumerate(nodes))
    foreign = ClusterNode(
        id=_id("foreign"),
        place=Place(_FOREIGN, _PORT),
        bus=_BUS,
        hostname="",
        primary=_id(nodes[0].name),
        down=Down.NO,
        linked=True,
        slots=(),
        epoch=1,
    )
    for index, node in enumerate(nodes):
        base = _member(group, nodes, index)
        cluster = ClusterSeen(_id(node.name), ok=True, assigned=16384, nodes=(*told, foreign))
        seen = Seen(
            base.role,
            port=0,
            tls_port=_TLS,
            offset=_OFFSET,
            replicates_over_tls=True,
            bus_over_tls=True,
            bus_born_over_tls=True,
            following=base.following,
            followers=base.followers,
            cluster=cluster,
            sentinels=(),
        )
        _tell(node, seen)
    fault = {
        "reason": "ConnectionRefused",
        "message": f"{_DEAD}: nothing listens on {dead.machine.address}:{_TLS}.",
        "next_step": "See systemctl status redis-server there.",
    }
    Node.objects.filter(pk=dead.pk).update(fault=fault, looked_at=NOW - timedelta(minutes=3))


def _member(group: NodeGroup, nodes: Sequence[Node], index: int) -> Seen:
    """Return what a node says as a primary or a replica; the fourth shard writes a lot."""
    first = index - index % _OF
    if index != first:
        return _replica(group, nodes[first], _TLS)
    behind = 214_000 if first == 3 * _OF else 0
    replicas = [each for each in nodes[first + 1 : first + _OF] if each.name != _DEAD]
    followers = [
        Follower(_place(each, _TLS), online=True, offset=_OFFSET - behind, idle=1)
        for each in replicas
    ]
    return _primary(group, followers)


def _cluster_node(index: int, node: Node, nodes: Sequence[Node], dead: Node) -> ClusterNode:
    first = index - index % _OF
    shard = first // _OF
    size = 16384 // _SHARDS
    last = 16383 if shard == _SHARDS - 1 else (shard + 1) * size - 1
    slots: Slots = ((shard * size, last),) if index == first else ()
    down = node is dead
    return ClusterNode(
        id=_id(node.name),
        place=_place(node, _TLS),
        bus=_BUS,
        hostname="",
        primary="" if index == first else _id(nodes[first].name),
        down=Down.YES if down else Down.NO,
        linked=not down,
        slots=slots,
        epoch=shard + 1,
    )
