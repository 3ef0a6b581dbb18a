"""The made-up fleet: as large as asked for, always the same, and only where nothing else is."""

from datetime import UTC, datetime
from random import Random

import pytest
from django.db import transaction
from django.db.models import Count, F

from addons.encryption.models import PlainPort, PlaintextClient
from addons.models import Certificate, NodeInstallation, Run, RunNode
from instances.audit import Actor
from instances.errors import Conflict
from instances.models import AuditEvent, Environment, Node, NodeGroup
from instances.nodeconf.topology.picture import Kind
from instances.nodeconf.topology.whole import topology_of
from instances.topology import known_in
from panel.seeding.fleet import fleet_seed
from panel.seeding.plan import LARGEST, fleet_plan

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 5, 1, tzinfo=UTC)


def seed(environments: int = 12, nodes: int = 150) -> None:
    fleet_seed(
        actor=Actor(None, "test", "terminal"),
        environments=environments,
        nodes=nodes,
        now=NOW,
        chance=Random(7),
    )


@pytest.mark.parametrize(
    ("environments", "nodes"), [(1, 9), (2, 9), (3, 0), (50, 100), (1000, 10000)]
)
def test_a_plan_has_exactly_what_was_asked_for(environments: int, nodes: int) -> None:
    planned = fleet_plan(environments, nodes, Random(7))
    assert len({each.name for each in planned}) == environments
    assert sum(group.nodes for each in planned for group in each.groups) == nodes
    assert (
        max(group.nodes for each in planned for group in each.groups) <= LARGEST if nodes else True
    )


def test_a_seeded_fleet_has_every_state_that_pages_show() -> None:
    seed(nodes=900)
    assert (Environment.objects.count(), Node.objects.count()) == (12, 900)
    assert set(NodeInstallation.objects.values_list("health", flat=True)) == {
        "ok",
        "bad",
        "unknown",
    }
    assert Node.objects.filter(fault_reason__isnull=False).exists()
    assert Node.objects.filter(facts_at=None).exists()
    assert Node.objects.filter(version=None).count() == Node.objects.filter(facts_at=None).count()
    assert Certificate.objects.filter(not_after__lt=NOW).exists()
    assert AuditEvent.objects.filter(verb="node.register", at__lt=NOW).count() == 900
    assert PlaintextClient.objects.filter(last_seen=F("node__plain_port__sampled_at")).exists()
    quiet = PlainPort.objects.filter(quiet_since__isnull=False)
    assert quiet.filter(quiet_samples__gt=1, node__plaintext_clients__isnull=False).exists()
    assert not quiet.filter(node__plaintext_clients__last_seen=F("sampled_at")).exists()
    assert set(RunNode.objects.values_list("state", flat=True)) >= {"done"}


def test_no_run_of_a_seeded_fleet_is_left_to_a_worker() -> None:
    seed()
    assert not Run.objects.filter(state__in=[*Run.WAITING, *Run.ACTIVE]).exists()


def test_the_nodes_of_a_seeded_group_follow_its_first() -> None:
    seed(nodes=900)
    for group in NodeGroup.objects.annotate(size=Count("nodes")).filter(size__gt=1):
        drawn = topology_of(known_in(group.pk))
        assert drawn.kind == Kind.REPLICATION
        assert (drawn.strangers, group.disagreement) == ((), {})
        followed = {each.link.primary for each in drawn.members if each.link}
        assert len(followed) == 1


def test_it_is_the_same_fleet_every_time() -> None:
    def everything() -> list[object]:
        nodes = Node.objects.order_by("pk").values_list("name", "facts", "fault", "created_at")
        served = Certificate.objects.order_by("pk").values_list("fingerprint", "not_after")
        return [
            *nodes,
            *served,
            *NodeGroup.objects.order_by("pk").values_list("name", "created_at"),
        ]

    with transaction.atomic():
        seed()
        first = everything()
        transaction.set_rollback(True)
    seed()
    assert everything() == first


def test_a_panel_that_has_environments_is_left_alone() -> None:
    Environment.objects.create(name="shop")
    with pytest.raises(Conflict, match="made-up ones do not belong"):
        seed()
    assert Environment.objects.count() == 1
