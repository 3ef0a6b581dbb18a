"""``manage.py addon clients``: who spoke plaintext, and how well that is known."""

from datetime import timedelta

import pytest
from django.utils import timezone

from addons.encryption.plaintext import PlainConnection, PlainSample
from addons.encryption.remembering import sample_remember
from addons.models import Installation
from instances.audit import Actor
from instances.models import NodeGroup
from instances.nodeconf.client_list import Kind, Place
from tests.cli.conftest import Call
from tests.pages.world import VERIFIED, World

CLIENTS = ("addon", "clients", "shop", "cache", "encryption")


@pytest.fixture
def group(ready: None) -> NodeGroup:
    world = World(Actor(None, "ada", "test"))
    made = world.group("shop", "cache")
    world.installed(made, VERIFIED, VERIFIED)
    return made


def connected(address: str, **told: object) -> PlainConnection:
    return PlainConnection(Place(address, 4000), Place("10.0.0.9", 6379), age=90, **told)  # type: ignore[arg-type]


def sampled(group: NodeGroup, days_ago: float, *connections: PlainConnection) -> None:
    now = timezone.now() - timedelta(days=days_ago)
    for node in group.nodes.all():
        sample_remember(node=node, sample=PlainSample(6379, connections), now=now)


def test_who_spoke_plaintext_is_a_line_each(call: Call, group: NodeGroup) -> None:
    gone = connected("10.0.0.1", name="web[/x]", user="shop", library="redis-py 6.4.0")
    sampled(group, 0.9, gone)
    sampled(group, 0, connected("2001:db8::7", kind=Kind.REPLICA))
    said = call(*CLIENTS)
    assert said.status == 0
    heading, here, before, *known = said.out.splitlines()
    assert heading.split() == [
        *("ADDRESS", "NAME", "USER", "LIBRARY", "NODES", "CONNECTED", "SAMPLES", "LAST")
    ]
    assert here.split() == ["2001:db8::7", "-", "-", "-", "cache-1,", "cache-2", "2", "2", "now"]
    assert "web[/x]" in before
    assert before.split()[-3:] == ["21", "hours", "ago"]
    assert known[0] == "2 clients spoke plaintext in the last 7 days."
    assert known[1].startswith("2 samples of each plain port in the last 21 hours, one every 15 mi")


def test_for_programs(call: Call, group: NodeGroup) -> None:
    sampled(group, 3, connected("10.0.0.1", name="web"))
    told = call(*CLIENTS, "--json").json()
    assert (told["total"], told["days"]) == (1, 7)
    assert told["sampled"]["interval"] == 900
    (client,) = told["clients"]
    assert (client["address"], client["names"], client["age"]) == ("10.0.0.1", ["web"], 90)
    assert client["nodes"] == ["cache-1", "cache-2"]
    assert call(*CLIENTS, "--days", "2", "--json").json()["total"] == 0


def test_nobody_is_said_with_since_when(call: Call, group: NodeGroup) -> None:
    assert call(*CLIENTS).out.startswith("Plain port not sampled yet.\n2 of 2 nodes: no sample")
    for days_ago in (3.1, 2.5, 2, 1.5, 1, 0.5):
        sampled(group, days_ago)
    said = call(*CLIENTS)
    assert said.out.splitlines()[0] == "Nobody seen on the plain port for 3 days."
    assert "6 samples of each plain port in the last 3 days" in said.out


def test_what_cannot_be_told_is_refused(call: Call, group: NodeGroup) -> None:
    assert "invalid number from 1 to 30" in call(*CLIENTS, "--days", "31").err
    Installation.objects.update(generation=0)
    said = call(*CLIENTS)
    assert said.status == 1
    assert "is not installed on shop / cache" in said.err
