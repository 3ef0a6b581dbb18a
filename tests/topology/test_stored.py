"""What looks leave behind: each node's account, and whether a group is of one mind."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.audit import Actor
from instances.models import Node, NodeTopology
from instances.nodeconf.topology.picture import Kind
from instances.nodeconf.topology.whole import topology_of
from instances.services.archive import place_archive, place_restore
from instances.topology import known_in, topology_store
from tests.pages.world import World
from tests.topology.recorded import CLUSTER, REPLICATION, said, stock


@pytest.fixture
def world(db: None) -> World:
    return World(Actor(None, "anna", "terminal"))


def test_a_group_s_nodes_are_read_in_one_query(world: World) -> None:
    group = world.group("shop", "cache", nodes=6)
    world.told(group, "redis-8.0", "plain", CLUSTER)
    with CaptureQueriesContext(connection) as queries:
        topology = topology_of(known_in(group.pk))
    assert len(queries) == 1
    assert (topology.kind, topology.strangers, len(topology.members)) == (Kind.CLUSTER, (), 6)


def test_a_disagreement_is_stored_and_taken_away_again(world: World) -> None:
    group = world.group("shop", "cache", nodes=2)
    _, second = world.told(group, "redis-7.0", "plain", (7001, 7001))
    group.refresh_from_db()
    assert group.disagreement_reason == "TwoPrimaries"
    assert group.disagreement["next_step"]
    world.tells(second, said("redis-7.0", "plain", 7002))
    group.refresh_from_db()
    assert (group.disagreement, group.disagreement_reason) == ({}, None)


def test_who_no_longer_answers_keeps_what_it_said_and_is_called_silent(world: World) -> None:
    group = world.group("shop", "cache", nodes=3)
    nodes = world.told(group, "redis-7.0", "plain", REPLICATION)
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
    world.tells(first, said("redis-7.0", "plain", 7001))
    world.tells(second, None)
    row = NodeTopology.objects.get(node=second)
    assert (row.seen, row.seen_at) == ({}, None)
    assert row.ports == [stock().server.port]
    assert [each.seen is None for each in known_in(group.pk)] == [False, True]


def test_a_bus_that_was_seen_to_be_born_encrypted_stays_so_for_that_process(world: World) -> None:
    node = world.group("shop", "cache", nodes=1).nodes.get()
    seen = said("redis-7.0", "tls", 8002, "tls-cluster yes", changed=1)
    assert seen is not None

    def born() -> bool:
        return bool(NodeTopology.objects.get(node=node).seen["bus_born_over_tls"])

    world.tells(node, seen)
    assert born()
    world.tells(node, replace(seen, bus_born_over_tls=False))
    assert born(), "its file was written since"
    world.tells(node, replace(seen, bus_born_over_tls=False, run_id="b" * 40))
    assert not born(), "another process"


def test_a_node_that_leaves_takes_its_contradiction_along(world: World) -> None:
    group = world.group("shop", "cache", nodes=2)
    _, second = world.told(group, "redis-7.0", "plain", (7001, 7001))
    place_archive(actor=world.actor, place=second, now=timezone.now())
    group.refresh_from_db()
    assert group.disagreement_reason is None
    place_restore(actor=world.actor, place=second)
    group.refresh_from_db()
    assert group.disagreement_reason == "TwoPrimaries"
    fault = {"reason": "NoRoute", "message": "no route", "next_step": ""}
    later = timezone.now() + timedelta(seconds=1)
    Node.objects.filter(pk=second.pk).update(fault=fault, looked_at=later)
    topology_store(node=second, facts=None, seen=None, now=later)
    group.refresh_from_db()
    assert group.disagreement_reason is None, "who does not answer contradicts nobody"
