"""Each node is looked at once an interval, oldest first, none that a run has."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from addons.models import MachineLock, NodeInstallation, Run
from addons.watch import observe
from addons.watch.look import Look
from addons.watch.observe import nodes_observe
from addons.watch.schedule import BATCH, FEWEST, TICK, due, observations_tick
from tests.pages.world import VERIFIED, World
from tests.watch.conftest import IN_STEP, NOW, Broker

INTERVAL = timedelta(minutes=15)


def fleet(world: World, nodes: int, **more: object) -> list[int]:
    world.installed(world.group("shop", "cache", nodes=nodes), *[VERIFIED] * nodes)
    rows = NodeInstallation.objects.all()
    rows.update(**more)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def looked_at(rows: list[int], minutes_ago: float) -> None:
    at = NOW - timedelta(minutes=minutes_ago)
    NodeInstallation.objects.filter(pk__in=rows).update(checked_at=at)


def test_a_node_is_due_after_the_interval_and_those_never_looked_at_first(world: World) -> None:
    rows = fleet(world, 4)
    looked_at(rows[:1], 14.9)
    looked_at(rows[1:2], 15.1)
    looked_at(rows[2:3], 40)
    found = due(now=NOW, interval=INTERVAL, tick=TICK)
    assert found == [rows[3], rows[2], rows[1]]


def test_a_large_fleet_is_spread_over_the_interval(world: World, broker: Broker) -> None:
    rows = fleet(world, 300)
    looked_at(rows, 60)
    now, most, ticks = NOW, 0, 0
    while found := due(now=now, interval=INTERVAL, tick=TICK):
        NodeInstallation.objects.filter(pk__in=found).update(checked_at=now)
        most, ticks, now = max(most, len(found)), ticks + 1, now + TICK
    assert most == 20  # Twice the share of a tick: 300 nodes in 30 ticks.
    assert ticks * TICK <= INTERVAL
    assert due(now=NOW + INTERVAL, interval=INTERVAL, tick=TICK) == rows[:20]


def test_a_small_fleet_is_looked_at_at_once(world: World) -> None:
    assert len(due(now=NOW, interval=INTERVAL, tick=TICK)) == 0
    rows = fleet(world, FEWEST)
    assert due(now=NOW, interval=INTERVAL, tick=TICK) == rows


def test_nobody_looks_while_a_run_has_the_machine(world: World) -> None:
    rows = fleet(world, 2)
    first = NodeInstallation.objects.get(pk=rows[0])
    run = world.run(first.installation.group, Run.State.RUNNING)
    MachineLock.objects.create(machine=first.node.machine, run=run)
    assert due(now=NOW, interval=INTERVAL, tick=TICK) == rows[1:]
    MachineLock.objects.all().delete()
    assert due(now=NOW, interval=INTERVAL, tick=TICK) == rows


def test_what_is_not_installed_or_was_archived_is_left_alone(world: World) -> None:
    rows = fleet(world, 2)
    row = NodeInstallation.objects.get(pk=rows[0])
    type(row.node).recorded.filter(pk=row.node_id).update(archived_at=NOW)
    assert due(now=NOW, interval=INTERVAL, tick=TICK) == rows[1:]
    type(row.installation).objects.update(generation=0)
    assert due(now=NOW, interval=INTERVAL, tick=TICK) == []


def test_a_tick_tells_workers_in_batches_that_expire_and_wait_behind_runs(
    world: World, broker: Broker
) -> None:
    rows = fleet(world, BATCH + 1)
    looked_at(rows, 20)
    looked_at(rows[-1:], 10)
    assert observations_tick(NOW) == BATCH
    [batch] = broker.sent
    assert (batch["rows"], batch["expires"], batch["priority"]) == (rows[:-1], 30.0, 9)
    assert batch["asked_at"] == NOW.isoformat()


def test_without_a_broker_nothing_is_lost_and_the_next_tick_asks_again(
    world: World, broker: Broker
) -> None:
    rows = fleet(world, 3)
    broker.lost = True
    assert observations_tick(NOW) == 0
    broker.lost = False
    assert observations_tick(NOW + TICK) == 3
    assert broker.rows == rows


def test_the_schedule_can_be_switched_off(world: World, broker: Broker, settings: Settings) -> None:
    fleet(world, 1)
    settings.OBSERVE_INTERVAL = timedelta(0)
    assert observations_tick(NOW) == 0
    assert not broker.sent


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which nodes were looked at."""
    names: list[str] = []

    def look(brief: object, planner: object) -> Look:
        names.append(brief.name)  # type: ignore[attr-defined]
        return IN_STEP

    monkeypatch.setattr(observe, "look", look)
    return names


def test_a_message_that_comes_twice_or_late_looks_once(world: World, looks: list[str]) -> None:
    from django.utils import timezone

    world.authority(world.group("shop", "other", nodes=0).environment)
    rows = fleet(world, 1, observed_at=None)
    asked = timezone.now()
    nodes_observe(rows=rows, asked_at=asked)
    nodes_observe(rows=rows, asked_at=asked)
    assert looks == ["cache-1"]
    row = NodeInstallation.objects.get()
    assert row.observed["fingerprint"] == "AA:BB"
    assert row.checked_at
    assert row.checked_at >= asked


def test_a_run_that_came_first_keeps_the_message_from_looking(
    world: World, looks: list[str]
) -> None:
    rows = fleet(world, 1)
    node = NodeInstallation.objects.get().node
    run = world.run(node.group, Run.State.RUNNING)
    MachineLock.objects.create(machine=node.machine, run=run)
    nodes_observe(rows=rows, asked_at=NOW)
    assert looks == []
