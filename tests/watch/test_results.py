"""What a look leaves: conditions with their since, the difference, and what was last seen."""

from datetime import timedelta

from addons.engine.conditions import decisive
from addons.models import MachineLock, NodeInstallation, Run
from addons.runs.results import NodeResults
from addons.watch.results import look_store
from instances.models import AuditEvent
from panel.pages.state import row_shown
from tests.pages.world import World
from tests.watch.conftest import DRIFT, DRIFTED, IN_STEP, NOW, SILENT, Store

LATER = NOW + timedelta(minutes=15)
LATEST = NOW + timedelta(minutes=30)


def since(row: NodeInstallation, kind: str) -> str:
    return str(next(each["since"] for each in row.conditions if each["type"] == kind))


def test_a_node_in_step_is_verified(store: Store) -> None:
    row = store(IN_STEP, NOW)
    assert (row.health, row.observed_at, row.drift) == ("ok", NOW, [])
    assert row.observed["fingerprint"] == "AA:BB"
    assert row.not_after
    shown = row_shown(row, row.installation)
    assert (shown.word, shown.why) == ("Verified", "TLSv1.3, PONG in 1.0 ms")


def test_drift_is_bad_with_its_difference_though_tls_is_served(store: Store) -> None:
    row = store(DRIFTED, NOW)
    assert (row.health, row.drift) == ("bad", DRIFT)
    shown = row_shown(row, row.installation)
    assert (shown.kind, shown.word, shown.at) == ("bad", "Drift", NOW)
    assert shown.why == "cache-1: /etc/redis/redis.conf is not as wanted."


def test_since_stays_while_status_and_reason_stay(store: Store) -> None:
    store(DRIFTED, NOW)
    row = store(DRIFTED, LATER)
    assert since(row, "AsWanted") == NOW.isoformat()
    row = store(IN_STEP, LATEST)
    assert since(row, "AsWanted") == LATEST.isoformat()
    assert since(row, "Encrypted") == NOW.isoformat()


def test_out_of_reach_is_unknown_with_the_age_of_what_was_seen(store: Store) -> None:
    seen = store(IN_STEP, NOW)
    row = store(SILENT, LATER)
    assert (row.health, row.observed, row.observed_at) == ("unknown", seen.observed, NOW)
    shown = row_shown(row, row.installation)
    assert (shown.kind, shown.word, shown.at) == ("unknown", "No route", NOW)
    assert decisive(store(IN_STEP, LATEST).conditions)["status"] == "true"  # type: ignore[index]


def test_drift_that_cannot_be_seen_any_more_is_unknown_and_not_forgotten(store: Store) -> None:
    store(DRIFTED, NOW)
    row = store(SILENT, LATER)
    assert (row.health, row.drift) == ("unknown", DRIFT)


def test_a_look_that_a_run_overtook_does_not_count(
    store: Store, row: NodeInstallation, world: World
) -> None:
    run = world.run(row.installation.group, Run.State.RUNNING)
    lock = MachineLock.objects.create(machine=row.node.machine, run=run)
    assert not look_store(row=row, look=DRIFTED, began=NOW, now=NOW)
    lock.delete()
    # It has ended meanwhile, and verified the node after the look began.
    NodeInstallation.objects.update(observed_at=NOW + timedelta(seconds=1))
    assert not look_store(row=row, look=DRIFTED, began=NOW, now=LATER)
    assert NodeInstallation.objects.get().drift == []


def test_a_look_with_former_settings_does_not_count(row: NodeInstallation) -> None:
    type(row.installation).objects.update(generation=2)
    assert not look_store(row=row, look=IN_STEP, began=NOW, now=NOW)
    NodeInstallation.objects.all().delete()
    assert not look_store(row=row, look=IN_STEP, began=NOW, now=NOW)


def test_a_run_that_led_to_the_goal_ends_the_drift(store: Store, world: World) -> None:
    row = store(DRIFTED, NOW)
    run = world.run(row.installation.group, Run.State.RUNNING)
    seen = {"fingerprint": "CC", "condition": dict(row.conditions[-1])}
    for key in ("generation", "since"):
        del seen["condition"][key]  # type: ignore[attr-defined]
    NodeResults(run).done(row.node_id, changed=True, observation=seen)
    after = NodeInstallation.objects.get()
    assert (after.health, after.drift) == ("ok", [])
    assert [each["type"] for each in after.conditions] == ["Encrypted"]


def test_the_audit_log_says_when_a_node_drifts_and_when_it_is_back(store: Store) -> None:
    for look, at in ((IN_STEP, NOW), (DRIFTED, LATER), (DRIFTED, LATEST), (SILENT, LATEST)):
        store(look, at)
    store(IN_STEP, LATEST + timedelta(minutes=1))
    found = AuditEvent.objects.filter(verb__in=["node.drift", "node.in_step"]).order_by("pk")
    assert list(found.values_list("verb", "actor_name")) == [
        ("node.drift", "redoubt"),
        ("node.in_step", "redoubt"),
    ]
