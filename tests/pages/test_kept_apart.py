"""Two runs on one cluster: the second waits, wherever its nodes are managed, and says for whom."""

import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from addons.engine.runner import Outcome
from addons.models import MachineLock, Run
from addons.runs import machines
from addons.runs.claim import Lease, run_claim
from addons.runs.drive import run_end
from addons.runs.services import run_resolve
from instances.models import NodeGroup
from tests.pages.world import World
from tests.topology.recorded import CLUSTER

pytestmark = pytest.mark.django_db

SHARDS = (CLUSTER[:3], CLUSTER[3:])


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect which runs a worker is told of; there is no worker."""
    told: list[int] = []
    monkeypatch.setattr(machines, "ring", told.append)
    return told


def regions(world: World) -> tuple[NodeGroup, NodeGroup]:
    """Two groups of two environments that have a half of one cluster each."""
    here = world.group("shop", "cache", nodes=3)
    there = world.group("abroad", "cache", nodes=3)
    for group, ports in zip((here, there), SHARDS, strict=True):
        world.told(group, "redis-8.0", "plain", ports)
    return here, there


def claimed(run: Run) -> Lease | None:
    lease = run_claim(run=run.pk, holder=str(uuid.uuid4()), now=timezone.now())
    run.refresh_from_db()
    return lease


def end(run: Run, lease: Lease, outcome: Outcome) -> None:
    run_end(run=run, lease=lease, outcome=outcome, now=timezone.now())
    run.refresh_from_db()


def test_a_run_has_the_machines_of_its_whole_cluster(world: World, rung: list[int]) -> None:
    first, second = (world.run(group, Run.State.QUEUED) for group in regions(world))
    beside = world.run(world.group("shop", "queue"), Run.State.QUEUED)
    lease = claimed(first)
    assert lease is not None
    assert MachineLock.objects.filter(run=first).count() == len(CLUSTER)
    assert claimed(second) is None
    assert second.state == Run.State.QUEUED
    assert claimed(beside) is not None, "another cluster's machines are free"
    end(first, lease, Outcome.PUT_BACK)
    assert rung == [second.pk]
    assert claimed(second) is not None


def test_a_stuck_run_keeps_them_until_it_is_settled(world: World, rung: list[int]) -> None:
    first, second = (world.run(group, Run.State.QUEUED) for group in regions(world))
    lease = claimed(first)
    assert lease is not None
    end(first, lease, Outcome.STUCK)
    assert (first.state, rung) == (Run.State.STUCK, [])
    assert claimed(second) is None
    run_resolve(actor=world.actor, run=first, note="put right by hand")
    assert rung == [second.pk]
    assert claimed(second) is not None


def test_nodes_of_no_cluster_have_their_own_machines_alone(world: World) -> None:
    group = world.group("shop", "cache", nodes=2)
    run = world.run(group, Run.State.QUEUED)
    with CaptureQueriesContext(connection) as queries:
        found = machines.machines_wanted(run.pk)
    assert found == {node.machine_id for node in group.nodes.all()}
    assert len(queries) <= 4


def test_a_page_says_for_whose_end_a_run_waits(signed_in: Client, world: World) -> None:
    here, there = regions(world)
    first, second = world.run(here, Run.State.QUEUED), world.run(there, Run.State.QUEUED)
    address = second.get_absolute_url()
    before = signed_in.get(address).content.decode()
    assert "Waiting for a worker." in before
    assert claimed(first)
    after = signed_in.get(address).content.decode()
    assert f'Waiting for the end of <a href="/runs/{first.pk}/">run {first.pk}</a>' in after
    assert "shop / cache, which has the machine of" in after
    assert "Waiting for a worker." not in after
