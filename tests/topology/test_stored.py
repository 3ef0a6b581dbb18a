"""What looks leave behind: each node's account, and whether a group is of one mind."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.audit import Actor
from instances.models import Node, NodeGroup, NodeTopology
from instances.nodeconf.facts import NodeFacts, parse_facts
from instances.nodeconf.facts_parts import Address
from instances.nodeconf.topology.picture import Kind
from instances.nodeconf.topology.seen import Seen
from instances.nodeconf.topology.whole import topology_of
from instances.topology import known_in, topology_store
from tests.pages.world import World
from tests.topology.recorded import CLUSTER, REPLICATION, address, said

FACTS = parse_facts(
    (Path(__file__).parents[1] / "nodeconf/facts/bookworm-nftables.out").read_bytes()
)


@pytest.fixture
def world(db: None) -> World:
    return World(Actor(None, "anna", "terminal"))


def facts_at(host: str) -> NodeFacts:
    return replace(FACTS, addresses=(Address("eth0", host, 24),))


def told(group: NodeGroup, version: str, state: str, ports: tuple[int, ...]) -> list[Node]:
    """Let each node of a group be a server that was recorded."""
    nodes = list(group.nodes.order_by("name"))
    for node, port in zip(nodes, ports, strict=True):
        tell(node, said(version, state, port), version)
    return nodes


def tell(node: Node, seen: Seen | None, version: str = "redis-7.0") -> None:
    now = timezone.now()
    Node.objects.filter(pk=node.pk).update(looked_at=now)
    topology_store(node=node, facts=facts_at(address(version)), seen=seen, now=now)


def test_a_group_s_nodes_are_read_in_one_query(world: World) -> None:
    group = world.group("shop", "cache", nodes=6)
    told(group, "redis-8.0", "plain", CLUSTER)
    with CaptureQueriesContext(connection) as queries:
        topology = topology_of(known_in(group.pk))
    assert len(queries) == 1
    assert (topology.kind, topology.strangers, len(topology.members)) == (Kind.CLUSTER, (), 6)


def test_a_disagreement_is_stored_and_taken_away_again(world: World) -> None:
    group = world.group("shop", "cache", nodes=2)
    _, second = told(group, "redis-7.0", "plain", (7001, 7001))
    group.refresh_from_db()
    assert group.disagreement_reason == "TwoPrimaries"
    assert group.disagreement["next_step"]
    tell(second, said("redis-7.0", "plain", 7002))
    group.refresh_from_db()
    assert (group.disagreement, group.disagreement_reason) == ({}, None)


def test_who_no_longer_answers_keeps_what_it_said_and_is_called_silent(world: World) -> None:
    group = world.group("shop", "cache", nodes=3)
    nodes = told(group, "redis-7.0", "plain", REPLICATION)
    fault = {"reason": "ConnectionRefused", "message": "nobody listens", "next_step": ""}
    Node.objects.filter(pk=nodes[0].pk).update(
        fault=fault, looked_at=timezone.now() + timedelta(minutes=1)
    )
    known = {each.key: each for each in known_in(group.pk)}
    assert known[nodes[0].pk].seen == said("redis-7.0", "plain", 7001)
    assert known[nodes[0].pk].silent == "nobody listens"
    assert known[nodes[1].pk].silent == ""


def test_a_server_that_was_down_at_the_first_look_is_known_by_its_place(world: World) -> None:
    group = world.group("shop", "cache", nodes=2)
    first, second = group.nodes.order_by("name")
    tell(first, said("redis-7.0", "plain", 7001))
    tell(second, None)
    row = NodeTopology.objects.get(node=second)
    assert (row.seen, row.seen_at) == ({}, None)
    assert row.ports == [FACTS.server.port]
    assert [each.seen is None for each in known_in(group.pk)] == [False, True]


def test_a_bus_that_was_seen_to_be_born_encrypted_stays_so_for_that_process(world: World) -> None:
    node = world.group("shop", "cache", nodes=1).nodes.get()
    seen = said("redis-7.0", "tls", 8002, "tls-cluster yes", changed=1)
    assert seen is not None

    def born() -> bool:
        return bool(NodeTopology.objects.get(node=node).seen["bus_born_over_tls"])

    tell(node, seen)
    assert born()
    tell(node, replace(seen, bus_born_over_tls=False))
    assert born(), "its file was written since"
    tell(node, replace(seen, bus_born_over_tls=False, run_id="b" * 40))
    assert not born(), "another process"
