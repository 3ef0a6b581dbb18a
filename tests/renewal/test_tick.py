"""What a tick starts, and what it leaves alone."""

from datetime import time, timedelta
from itertools import pairwise

import pytest
from django.utils import timezone

from addons.models import Certificate, Installation, NodeInstallation, Run
from addons.renewal.plan import Way
from addons.renewal.standing import renewals_of
from addons.renewal.tick import renewals_tick
from addons.runs.services import run_confirm, run_create, run_discard, run_resolve
from instances.models import AuditEvent, Node, NodeGroup
from instances.services import window_add
from tests.pages.world import World
from tests.renewal.conftest import START, place
from tests.renewal.memory import ANNA, Machine, Site

State = Run.State
# 243 days and 8 hours after the start; a certificate holds from an hour before.
DUE = START + timedelta(days=365) - timedelta(days=365, hours=1) / 3
HOUR = timedelta(hours=1)


def tick(site: Site) -> list[Run]:
    """Let the clock tick, and a worker carry out what was started."""
    return [site.drive(run) for run in renewals_tick(site.now)]


def names(run: Run) -> list[str]:
    return [row.node.name for row in run.nodes.select_related("node")]


def way(group: NodeGroup, site: Site, name: str = "cache-1") -> Way:
    node = group.nodes.get(name=name)
    return renewals_of([node.pk], site.now)[node.pk].way


def machine(site: Site, group: NodeGroup, name: str) -> Machine:
    return site.machine(group.nodes.get(name=name))


@pytest.fixture
def due(site: Site, cache: NodeGroup) -> NodeGroup:
    """A group whose certificates are due now."""
    site.install(cache)
    site.now = DUE
    return cache


def test_a_group_is_renewed_once_when_a_third_is_left(site: Site, cache: NodeGroup) -> None:
    site.install(cache)
    before = set(Certificate.objects.values_list("serial", flat=True))
    site.now = DUE - timedelta(seconds=1)
    assert tick(site) == []
    site.now = DUE
    [run] = tick(site)
    assert (run.action, run.state, run.actor_name) == ("reissue", State.SUCCEEDED, "redoubt")
    assert names(run) == ["cache-1", "cache-2", "cache-3"]
    assert run.cause == "A third of the certificates' life is left: cache-1, cache-2, cache-3."
    serving = Certificate.objects.filter(state="serving")
    assert serving.count() == 6
    assert not before & set(serving.values_list("serial", flat=True))
    for _ in range(3):
        assert tick(site) == []
        site.pass_by(days=30)


def test_the_audit_log_says_who_and_why(site: Site, due: NodeGroup) -> None:
    [run] = tick(site)
    event = AuditEvent.objects.get(verb="run.start", actor_name="redoubt")
    assert (event.source, event.detail["cause"]) == ("panel", run.cause)


def test_while_a_run_is_queued_running_or_stuck_there_is_no_second(
    site: Site, due: NodeGroup
) -> None:
    [run] = renewals_tick(site.now)
    for state in (State.QUEUED, State.RUNNING, State.PUTTING_BACK, State.STUCK):
        Run.objects.filter(pk=run.pk).update(state=state)
        site.pass_by(hours=30)
        assert renewals_tick(site.now) == []
    assert way(due, site) is Way.STUCK


def test_two_ticks_at_once_start_one(site: Site, due: NodeGroup) -> None:
    assert len(renewals_tick(site.now)) == 1
    assert renewals_tick(site.now) == []


def test_an_install_under_way_is_waited_for(site: Site, due: NodeGroup) -> None:
    run = run_create(
        actor=ANNA, group=due, addon="encryption", action="install", settings={}, confirmed=True
    )
    assert tick(site) == []
    assert way(due, site) is Way.UNDER_WAY
    run_discard(actor=ANNA, run=run)
    assert len(tick(site)) == 1


def test_what_somebody_does_not_let_begin_is_begun_an_hour_later(
    site: Site, due: NodeGroup
) -> None:
    [run] = renewals_tick(site.now)
    run_discard(actor=ANNA, run=run)
    assert renewals_tick(site.now) == []
    assert way(due, site) is Way.FAILED
    site.pass_by(hours=1)
    assert tick(site)[0].state == State.SUCCEEDED


def test_a_preview_holds_it_back_for_a_day(site: Site, due: NodeGroup) -> None:
    run = run_create(
        actor=ANNA, group=due, addon="encryption", action="reissue", settings={}, confirmed=False
    )
    assert site.drive(run).state == State.PREVIEWED
    assert tick(site) == []
    assert way(due, site) is Way.HELD
    site.pass_by(days=1, seconds=1)
    [renewed] = tick(site)
    assert renewed.state == State.SUCCEEDED
    run_confirm(actor=ANNA, run=run)


def test_a_node_out_of_reach_keeps_no_other_from_being_renewed(site: Site, due: NodeGroup) -> None:
    silent = machine(site, due, "cache-2")
    silent.silent = True
    [refused] = tick(site)
    assert refused.state == State.REFUSED
    site.pass_by(minutes=1)
    [others] = tick(site)
    assert (others.state, names(others)) == (State.SUCCEEDED, ["cache-1", "cache-3"])
    assert way(due, site, "cache-2") is Way.FAILED
    site.pass_by(minutes=30)
    assert tick(site) == []
    site.pass_by(minutes=30)
    [again] = tick(site)
    assert names(again) == ["cache-2"]
    silent.silent = False
    site.pass_by(hours=2)
    assert tick(site)[0].state == State.SUCCEEDED


def test_a_node_that_the_last_look_did_not_reach_is_not_tried(site: Site, due: NodeGroup) -> None:
    row = NodeInstallation.objects.get(node__name="cache-2")
    row.conditions = [*row.conditions, {"type": "Reached", "status": "unknown", "message": ""}]
    row.save()
    [run] = tick(site)
    assert names(run) == ["cache-1", "cache-3"]
    assert way(due, site, "cache-2") is Way.UNREACHED
    assert tick(site) == []
    row.refresh_from_db()
    row.conditions = [each for each in row.conditions if each["type"] != "Reached"]
    row.save()
    assert names(tick(site)[0]) == ["cache-2"]


def test_an_archived_node_is_left_out(site: Site, due: NodeGroup) -> None:
    Node.objects.filter(name="cache-1").update(archived_at=site.now)
    assert names(tick(site)[0]) == ["cache-2", "cache-3"]
    assert tick(site) == []


def test_what_was_put_back_is_tried_again_ever_later(site: Site, due: NodeGroup) -> None:
    broken = machine(site, due, "cache-1")
    broken.broken = True
    at = []
    end = site.now + timedelta(days=4)
    while site.now < end:
        for run in tick(site):
            assert (run.state, names(run)) == (State.PUT_BACK, ["cache-1", "cache-2", "cache-3"])
            at.append(site.now)
        site.pass_by(minutes=30)
    waits = [(later - one) / HOUR for one, later in pairwise(at)]
    assert waits == [1, 2, 4, 8, 16, 24, 24]
    assert Certificate.objects.filter(state="serving").count() == 6
    broken.broken = False
    while not (runs := tick(site)):
        site.pass_by(minutes=30)
    assert runs[0].state == State.SUCCEEDED
    site.now = DUE + timedelta(days=243)
    broken.broken = True
    assert way(due, site) is Way.PLANNED, "the failures of former times do not count"


def test_after_a_stuck_run_was_resolved_it_is_tried_again(site: Site, due: NodeGroup) -> None:
    stuck = machine(site, due, "cache-1")
    stuck.broken, stuck.mends = True, False
    [run] = tick(site)
    assert run.state == State.STUCK
    site.pass_by(days=2)
    assert tick(site) == []
    stuck.broken = False
    run_resolve(actor=ANNA, run=run, note="mended")
    assert tick(site)[0].state == State.SUCCEEDED


def test_switched_off_means_off(site: Site, cache: NodeGroup) -> None:
    site.install(cache, renew="off")
    site.now = DUE + timedelta(days=100)
    assert tick(site) == []
    assert way(cache, site) is Way.OFF
    site.install(cache, renew="auto")
    assert Installation.objects.get().spec["renew"] == "auto"


def test_what_ends_with_its_authority_is_not_renewed_in_vain(
    site: Site, world: World, cache: NodeGroup
) -> None:
    site.now = START + timedelta(days=3600)
    site.install(cache)
    ends = {each.not_after for each in Certificate.objects.all()}
    assert ends == {cache.environment.authority_links.get().authority.not_after}
    site.pass_by(days=40)
    assert tick(site) == []
    assert way(cache, site) is Way.LAST


def test_certificates_of_one_group_go_together_and_others_when_they_are_due(
    site: Site, cache: NodeGroup
) -> None:
    site.install(cache)
    Certificate.objects.filter(node__name="cache-2").update(renew_at=DUE + timedelta(hours=20))
    Certificate.objects.filter(node__name="cache-3").update(renew_at=DUE + timedelta(days=2))
    site.now = DUE - timedelta(hours=1)
    assert tick(site) == []
    site.now = DUE
    assert names(tick(site)[0]) == ["cache-1", "cache-2"]
    site.pass_by(days=2)
    assert names(tick(site)[0]) == ["cache-3"]


def test_a_window_is_waited_for(site: Site, due: NodeGroup) -> None:
    # It is due on Saturday the 24th of July 2027, in the morning.
    window_add(
        actor=ANNA,
        environment=due.environment,
        weekdays=[6],
        start=time(2),
        hours=2,
        zone="Europe/Berlin",
    )
    started = []
    for _ in range(24 * 14):
        started += [site.now for _ in tick(site)]
        site.pass_by(hours=1)
    assert [each.strftime("%a %d %b %H") for each in started] == ["Sun 25 Jul 00"]


def test_each_group_gets_a_run_of_its_own(site: Site, world: World, due: NodeGroup) -> None:
    site.now = START
    site.install(place(world, "other", "queue"))
    site.now = DUE
    assert {str(run.installation.group) for run in tick(site)} == {"shop / cache", "other / queue"}


def test_a_node_without_certificates_of_ours_is_left_alone(site: Site, due: NodeGroup) -> None:
    Certificate.objects.filter(node__name="cache-1").update(state=Certificate.State.REPLACED)
    assert names(tick(site)[0]) == ["cache-2", "cache-3"]


def test_an_uninstalled_add_on_renews_nothing(site: Site, due: NodeGroup) -> None:
    Installation.objects.update(generation=0)
    assert tick(site) == []
    assert timezone.now() == site.now
