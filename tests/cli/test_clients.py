"""``manage.py addon clients``: who spoke plaintext, and how well that is known."""

import pytest

from addons.models import Installation
from instances.audit import Actor
from instances.models import NodeGroup
from instances.nodeconf.client_list import Kind
from tests.cli.conftest import Call
from tests.pages.world import VERIFIED, World

CLIENTS = ("addon", "clients", "shop", "cache", "encryption")


@pytest.fixture
def world(ready: None) -> World:
    return World(Actor(None, "ada", "test"))


@pytest.fixture
def group(world: World) -> NodeGroup:
    made = world.group("shop", "cache")
    world.installed(made, VERIFIED, VERIFIED)
    return made


def test_who_spoke_plaintext_is_a_line_each(call: Call, world: World, group: NodeGroup) -> None:
    named = {"name": "web[/x]", "user": "shop", "library": "redis-py 6.4.0"}
    world.sampled(group, "10.0.0.1", hours_ago=21.5, **named)
    world.sampled(group, "2001:db8::7", kind=Kind.REPLICA)
    said = call(*CLIENTS)
    assert said.status == 0
    heading, here, before, *known = said.out.splitlines()
    assert heading.split() == [
        *("ADDRESS", "NAME", "USER", "LIBRARY", "NODES", "CONNECTED", "SAMPLES", "LAST")
    ]
    assert here.split() == ["2001:db8::7", "-", "-", "-", "cache-1,", "cache-2", "2", "1", "now"]
    assert "web[/x]" in before
    assert before.split()[-3:] == ["21", "hours", "ago"]
    assert known[0] == "2 clients spoke plaintext in the last 7 days."
    assert known[1].startswith("2 samples of each plain port in the last 21 hours, one every 15 mi")


def test_for_programs(call: Call, world: World, group: NodeGroup) -> None:
    world.sampled(group, "10.0.0.1", hours_ago=72, name="web")
    told = call(*CLIENTS, "--json").json()
    assert (told["total"], told["days"]) == (1, 7)
    assert told["sampled"]["interval"] == 900
    (client,) = told["clients"]
    assert (client["address"], client["names"], client["age"]) == ("10.0.0.1", ["web"], 90)
    assert client["nodes"] == ["cache-1", "cache-2"]
    assert call(*CLIENTS, "--days", "2", "--json").json()["total"] == 0


def test_nobody_is_said_with_since_when(call: Call, world: World, group: NodeGroup) -> None:
    assert call(*CLIENTS).out.startswith("Plain port not sampled yet.\n2 of 2 nodes: no sample")
    for hours_ago in (74, 60, 48, 36, 24, 12, 0):
        world.sampled(group, hours_ago=hours_ago)
    said = call(*CLIENTS)
    assert said.out.splitlines()[0] == "Nobody seen on the plain port for 3 days."
    assert "7 samples of each plain port in the last 3 days" in said.out


def test_what_cannot_be_told_is_refused(call: Call, group: NodeGroup) -> None:
    assert "invalid number from 1 to 30" in call(*CLIENTS, "--days", "31").err
    Installation.objects.update(generation=0)
    said = call(*CLIENTS)
    assert said.status == 1
    assert "is not installed on shop / cache" in said.err
