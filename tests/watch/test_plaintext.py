"""Who speaks plaintext is remembered: by address, for days, and with how well that is known."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from addons.encryption import remembering
from addons.encryption.models import PlainPort, PlaintextClient
from addons.encryption.plaintext import PlainConnection, PlainSample
from addons.encryption.plaintext_seen import plaintext_evidence, sampled_of
from addons.encryption.remembering import clients_forget, sample_remember
from addons.models import NodeInstallation
from instances.models import Node, NodeGroup
from instances.nodeconf.client_list import Kind, Place
from instances.reason import Reason
from tests.pages.world import VERIFIED, World
from tests.watch.conftest import NOW

QUARTER = timedelta(minutes=15)
SERVER = Place("10.0.0.9", 6379)


def connected(address: str, port: int = 4000, **told: object) -> PlainConnection:
    return PlainConnection(Place(address, port), SERVER, **({"age": 60} | told))  # type: ignore[arg-type]


def sample(*connections: PlainConnection, port: int = 6379) -> PlainSample:
    return PlainSample(port, connections)


@pytest.fixture
def group(world: World) -> NodeGroup:
    made = world.group("shop", "cache")
    world.installed(made, VERIFIED, VERIFIED)
    return made


@pytest.fixture
def node(group: NodeGroup) -> Node:
    return group.nodes.get(name="cache-1")


def remember(node: Node, found: PlainSample, at: datetime) -> PlainPort:
    sample_remember(node=node, sample=found, now=at)
    return PlainPort.objects.get(node=node)


def test_an_address_is_remembered_with_what_its_connections_said(node: Node) -> None:
    first = connected("10.0.0.1", 4001, name="web", user="shop", library="redis-py 6.4.0", age=500)
    second = connected("10.0.0.1", 4002, name="jobs", user="shop", kind=Kind.PUBSUB, age=20)
    remember(node, sample(first, second), NOW)
    remember(node, sample(connected("10.0.0.1", 4003, name="cron", age=3)), NOW + QUARTER)

    (row,) = PlaintextClient.objects.all()
    assert (row.address, row.sightings, row.connections, row.age) == ("10.0.0.1", 2, 1, 3)
    assert row.names.split("\n") == ["cron", "jobs", "web"]
    assert (row.users, row.libraries) == ("shop", "redis-py 6.4.0")
    assert row.kinds.split("\n") == ["normal", "pubsub"]
    assert (row.first_seen, row.last_seen) == (NOW, NOW + QUARTER)


def test_quiet_is_counted_from_the_first_sample_that_met_nobody(node: Node) -> None:
    port = remember(node, sample(connected("10.0.0.1")), NOW)
    assert (port.samples, port.quiet_since, port.quiet_samples) == (1, None, 0)
    for number in range(1, 4):
        port = remember(node, sample(), NOW + number * QUARTER)
    assert (port.since, port.samples) == (NOW, 4)
    assert (port.quiet_since, port.quiet_samples) == (NOW + QUARTER, 3)
    port = remember(node, sample(connected("10.0.0.2")), NOW + 4 * QUARTER)
    assert (port.samples, port.quiet_since, port.quiet_samples) == (5, None, 0)


def test_what_nobody_watched_is_not_called_quiet(node: Node) -> None:
    remember(node, sample(), NOW)
    port = remember(node, sample(), NOW + timedelta(hours=20))
    assert (port.samples, port.quiet_since) == (2, NOW)
    late = NOW + timedelta(hours=45)
    port = remember(node, sample(), late)
    assert (port.samples, port.since, port.quiet_since, port.quiet_samples) == (1, late, late, 1)


def test_a_port_that_is_closed_or_moves_is_counted_anew(node: Node) -> None:
    remember(node, sample(connected("10.0.0.1")), NOW)
    closed = remember(node, sample(port=0), NOW + QUARTER)
    assert (closed.port, closed.samples, closed.quiet_since) == (0, 0, None)
    assert PlaintextClient.objects.count() == 1, "who was there is not forgotten for that"
    again = remember(node, sample(), NOW + 2 * QUARTER)
    assert (again.samples, again.since) == (1, NOW + 2 * QUARTER)


def test_the_longest_unseen_make_way_and_are_counted(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "MOST", 3)
    for number in range(3):
        remember(node, sample(connected(f"10.0.0.{number}")), NOW + number * QUARTER)
    port = remember(node, sample(connected("10.0.1.1"), connected("10.0.0.0")), NOW + 3 * QUARTER)
    left = set(PlaintextClient.objects.values_list("address", flat=True))
    assert left == {"10.0.0.0", "10.0.0.2", "10.0.1.1"}
    assert port.forgotten == 1
    crowd = [connected(f"10.0.2.{number}", port) for number in range(5) for port in (1, 2)]
    port = remember(node, sample(*crowd), NOW + 4 * QUARTER)
    assert PlaintextClient.objects.count() == 3
    assert (port.connections, port.addresses, port.forgotten) == (10, 5, 6)


def test_nobody_is_remembered_for_longer_than_thirty_days(node: Node) -> None:
    remember(node, sample(connected("10.0.0.1"), connected("10.0.0.2")), NOW)
    remember(node, sample(connected("10.0.0.2")), NOW + QUARTER)
    assert clients_forget(now=NOW + timedelta(days=30, minutes=1)) == 1
    assert PlaintextClient.objects.get().address == "10.0.0.2"


@pytest.mark.parametrize("crowd", [2, 40])
def test_a_sample_takes_the_same_queries_for_few_and_many(node: Node, crowd: int) -> None:
    found = sample(*(connected(f"10.0.0.{number}") for number in range(crowd)))
    remember(node, found, NOW)
    with CaptureQueriesContext(connection) as queries:
        sample_remember(node=node, sample=found, now=NOW + QUARTER)
    assert len(queries) == 4


def test_a_group_is_known_as_well_as_its_least_known_node(group: NodeGroup) -> None:
    first, second = group.nodes.order_by("name")
    assert sampled_of(group).sampled == 0
    remember(first, sample(), NOW)
    remember(first, sample(), NOW + QUARTER)
    remember(second, sample(connected("10.0.0.1")), NOW + QUARTER)

    found = sampled_of(group)
    assert (found.nodes, found.sampled, found.open) == (2, 2, 2)
    assert (found.since, found.samples) == (NOW + QUARTER, 1)
    assert (found.quiet_since, found.quiet_samples) == (None, 0)
    assert found.interval == QUARTER

    remember(second, sample(), NOW + 2 * QUARTER)
    found = sampled_of(group)
    assert (found.quiet_since, found.quiet_samples) == (NOW + 2 * QUARTER, 1)

    remember(second, sample(port=0), NOW + 3 * QUARTER)
    found = sampled_of(group)
    assert (found.sampled, found.open, found.samples) == (2, 1, 2)
    assert (found.quiet_since, found.sampled_at) == (NOW, NOW + QUARTER)


def test_the_evidence_is_one_line_an_address(group: NodeGroup) -> None:
    first, second = group.nodes.order_by("name")
    remember(first, sample(connected("10.0.0.1", name="web"), connected("10.0.0.2")), NOW)
    remember(second, sample(connected("10.0.0.1", name="jobs", age=9000)), NOW)
    remember(first, sample(connected("10.0.0.1", name="web")), NOW + QUARTER)
    nameless = Reason("NoPermission", "The server does not say who its clients are.", "Let it.")
    remember(second, PlainSample(6379, (connected("10.0.0.1"),), nameless), NOW + QUARTER)

    found = plaintext_evidence(group, now=NOW + QUARTER, days=7)
    assert (found.total, found.days) == (2, 7)
    here, gone = found.callers
    assert (here.address, here.names, here.connections) == ("10.0.0.1", ["web", "jobs"], 2)
    assert ([node.name for node in here.nodes], here.sightings) == (["cache-1", "cache-2"], 2)
    assert (gone.address, gone.connections, gone.last_seen) == ("10.0.0.2", 0, NOW)
    assert found.sampled.nameless == f"{nameless.message} {nameless.next_step}"

    assert plaintext_evidence(group, now=NOW + timedelta(days=7, minutes=1)).total == 1


def test_the_evidence_takes_four_queries_however_much_there_is(group: NodeGroup) -> None:
    for node in group.nodes.all():
        remember(node, sample(*(connected(f"10.0.0.{number}") for number in range(30))), NOW)
    with CaptureQueriesContext(connection) as queries:
        found = plaintext_evidence(group, now=NOW)
    assert len(queries) == 4
    assert (found.total, len(found.callers)) == (30, 20)


def test_what_was_uninstalled_is_not_sampled_any_more(group: NodeGroup) -> None:
    remember(group.nodes.get(name="cache-1"), sample(), NOW)
    NodeInstallation.objects.all().delete()
    assert sampled_of(group).nodes == 0
