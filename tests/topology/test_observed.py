"""Topologies of real servers, as looks from the panel see them."""

import pytest
from django.utils import timezone

from instances.looks import node_look
from instances.models import Node, NodeGroup
from instances.nodeconf.topology.encrypted import Wire
from instances.nodeconf.topology.picture import Kind, Topology
from instances.nodeconf.topology.seen import Down, Role
from instances.nodeconf.topology.strangers import As
from instances.nodeconf.topology.whole import sets_of, topology_of
from instances.topology import known_in
from tests.acceptance.photograph import shell
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT
from tests.topology.cluster import BUS, Cluster
from tests.topology.replication import Replication
from tests.topology.sentinels import MASTER, QUORUM, SENTINELS, Sentinels

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]


def looked_at(stage: Stage) -> Topology:
    """What is known after one more look at every node."""
    for node in Node.objects.order_by("name"):
        node_look(node=node.pk)
    return topology_of(known_in(NodeGroup.objects.get(name="fleet").pk))


def wires(topology: Topology) -> set[tuple[bool | None, Wire]]:
    links = [each.link for each in topology.members if each.link]
    return {(each.up, each.encrypted.wire) for each in links}


def test_a_primary_and_its_replicas_are_seen_plain_and_encrypted_and_broken(stage: Stage) -> None:
    group = Replication(stage, "7.0")
    topology = looked_at(stage)
    assert topology.kind is Kind.REPLICATION
    ((root, below),) = sets_of(topology)
    assert (root.name, {each.name for each in below[root.key]}) == (
        "primary",
        {"replica-1", "replica-2"},
    )
    assert wires(topology) == {(True, Wire.PLAIN)}
    assert (topology.strangers, topology.blind) == ((), ())

    stage.panel.install("primary")
    group.configured(tls_replication="on")
    assert wires(looked_at(stage)) == {(True, Wire.TLS)}

    Node.objects.filter(name="replica-2").update(archived_at=timezone.now())
    (left,) = looked_at(stage).strangers
    assert (left.place.address, left.met_as) == (stage.address("replica-2"), As.REPLICA)

    shell(stage.lab, "primary", "systemctl stop redis-server")
    broken = looked_at(stage)
    assert {(each.name, bool(each.silent)) for each in broken.members if each.node} == {
        ("primary", True),
        ("replica-1", False),
    }
    assert (False, Wire.UNKNOWN) in wires(broken)
    shell(stage.lab, "replica-1", "redis-cli REPLICAOF NO ONE")
    shell(stage.lab, "primary", "systemctl start redis-server")
    looked_at(stage)


@pytest.mark.long
def test_sentinels_are_seen_with_their_quorum(stage: Stage) -> None:
    group = Sentinels(stage, "7.0")
    topology = looked_at(stage)
    assert topology.kind is Kind.SENTINEL
    (guard,) = topology.guards
    assert (guard.name, guard.quorum, len(guard.sentinels)) == (MASTER, QUORUM, 3)
    assert topology.member(guard.primary).name == "primary"
    assert (topology.strangers, topology.blind) == ((), ())
    assert wires(topology) == {(True, Wire.PLAIN)}

    # From the servers that they watch alone, Sentinels are met by their addresses.
    Node.objects.filter(name__in=SENTINELS).update(archived_at=timezone.now())
    met = looked_at(stage).strangers
    assert {(each.place.address, each.met_as) for each in met} == {
        (stage.address(name), As.SENTINEL) for name in SENTINELS
    }
    assert group.service == "redis"


@pytest.mark.long
def test_a_cluster_is_seen_with_its_shards_and_who_is_missing(stage: Stage) -> None:
    Cluster(stage, "7.0")
    topology = looked_at(stage)
    assert topology.kind is Kind.CLUSTER
    shards = list(sets_of(topology))
    assert len(shards) == 3
    assert all(len(below[root.key]) == 1 and root.bus == BUS for root, below in shards)
    assert topology.bus is not None
    assert (topology.bus.encrypted.wire, topology.bus.assigned, topology.bus.cut) == (
        Wire.PLAIN,
        16384,
        (),
    )
    assert (topology.strangers, wires(topology)) == ((), {(True, Wire.PLAIN)})

    shell(
        stage.lab, "cluster-1", "systemctl kill -s KILL redis-server; systemctl stop redis-server"
    )
    shell(
        stage.lab,
        "cluster-2",
        f"until redis-cli -p {PORT} cluster nodes | grep -q 'master,fail '; do sleep .2; done",
    )
    broken = looked_at(stage)
    dead = next(each for each in broken.members if each.name == "cluster-1")
    assert (dead.down, bool(dead.silent), dead.slots) == (Down.YES, True, ())

    Node.objects.filter(name="cluster-1").update(archived_at=timezone.now())
    fewer = looked_at(stage)
    assert [each.place.address for each in fewer.strangers] == [stage.address("cluster-1")]
    assert all(each.role is not Role.UNKNOWN for each in fewer.members)
