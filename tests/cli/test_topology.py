"""``manage.py node topology``: who follows whom."""

import json

import pytest

from instances.audit import Actor
from tests.cli.conftest import Call
from tests.pages.world import World
from tests.topology.recorded import CLUSTER, REPLICATION, SENTINELS

TOPOLOGY = ("node", "topology", "shop", "cache")


@pytest.fixture
def world(ready: None) -> World:
    return World(Actor(None, "ada", "test"))


def test_each_server_is_a_line(call: Call, world: World) -> None:
    group = world.group("shop", "cache", nodes=6)
    world.told(group, "redis-7.0", "tls", (*REPLICATION, *SENTINELS))
    said = call(*TOPOLOGY)
    assert said.status == 0
    first, guard, heading, *lines, age = said.out.splitlines()
    assert first == "Watched by Sentinels: 1 primary, 2 replicas, 3 Sentinels. All up."
    assert guard.startswith("orders: Failover possible. 3 of 3 Sentinels are up;")
    assert heading.split()[:4] == ["SERVER", "ADDRESS", "ROLE", "FOLLOWS"]
    assert lines[0].split()[:4] == ["cache-1", "10.77.6.1:7001", "primary", "-"]
    assert lines[1].split()[2:6] == ["replica", "cache-1", "up,", "nothing"]
    assert "TLS" in lines[1]
    assert len(lines) == 6
    assert age.startswith("The oldest account is from")


def test_what_is_down_or_contradicts_ends_with_1(call: Call, world: World) -> None:
    group = world.group("shop", "cache", nodes=5)
    world.told(group, "redis-8.0", "killed", CLUSTER[1:])
    said = call(*TOPOLOGY)
    assert said.status == 1
    assert "1 server down." in said.out
    assert "1 server is seen that nobody manages here." in said.out
    parted = world.group("shop", "parted")
    world.told(parted, "redis-7.0", "plain", (7001, 7001))
    said = call("node", "topology", "shop", "parted")
    assert said.status == 1
    assert said.out.startswith("Disagreement: parted-1 and parted-2 both take writes")


def test_programs_get_json(call: Call, world: World) -> None:
    group = world.group("shop", "cache", nodes=5)
    world.told(group, "valkey-8.1", "plain", CLUSTER[1:])
    told = json.loads(call(*TOPOLOGY, "--json").out)
    assert (told["kind"], told["disagreements"]) == ("cluster", [])
    assert [each["as"] for each in told["not_managed"]] == ["node of the cluster"]
    assert told["bus"]["assigned"] == 16384
    links = [each["link"] for each in told["members"] if each["link"]]
    assert {each["encryption"] for each in links} <= {"plaintext", "unknown"}
    assert sum(each["managed"] for each in told["members"]) == 5
