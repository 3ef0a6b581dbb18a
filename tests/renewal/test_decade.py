"""Ten years of renewals, and what happens where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db.models import F

from addons.clients.handout import ClientRequest
from addons.clients.issue import client_certificate_issue
from addons.models import Authority, Certificate, Run
from addons.renewal.endings import endings_tick
from addons.renewal.tick import renewals_tick
from instances.models import AuditEvent, Environment, NodeGroup
from instances.services import window_add
from tests.pages.world import World
from tests.renewal.conftest import START, place
from tests.renewal.memory import ANNA, Site

DECADE = timedelta(days=3650)
STEP, REST = timedelta(hours=12), timedelta(days=20)
Windows = Sequence[tuple[list[int], str, int, str]]
SUNDAYS: Windows = [([6], "02:00", 12, "Europe/Berlin")]
NIGHTS: Windows = [([5], "23:00", 12, "America/New_York"), ([2], "02:30", 12, "America/New_York")]


@dataclass(frozen=True)
class Place:
    environment: str
    days: int
    nodes: int = 1
    windows: Windows = ()


PLACES = [
    Place("year", 365, nodes=3),
    Place("decade", 3650),
    Place("year-sundays", 365, windows=SUNDAYS),
    Place("quarter-sundays", 90, nodes=2, windows=SUNDAYS),
    Place("year-nights", 365, windows=NIGHTS),
    Place("decade-nights", 3650, windows=NIGHTS),
]


def settle(world: World, site: Site, where: Place) -> NodeGroup:
    group = place(world, where.environment, "cache", where.nodes)
    for weekdays, start, hours, zone in where.windows:
        window_add(
            actor=ANNA,
            environment=group.environment,
            weekdays=weekdays,
            start=time.fromisoformat(start),
            hours=hours,
            zone=zone,
        )
    site.install(group, lifetime_days=str(where.days))
    return group


def tick(site: Site) -> list[Run]:
    """Tick, carry out what began, and tick again: that starts nothing more."""
    runs = [site.drive(run) for run in renewals_tick(site.now)]
    assert not runs or renewals_tick(site.now) == []
    return runs


def first_due() -> datetime:
    """When the first is due of those that do not end with their authority."""
    serving = Certificate.objects.filter(state="serving", not_after__lt=F("authority__not_after"))
    found = serving.order_by("renew_at").values_list("renew_at", flat=True).first()
    return found or START + DECADE


def is_open(windows: Windows, now: datetime) -> bool:
    """Whether one is, told without the code that is tested."""
    for weekdays, start, hours, zone in windows:
        for back in (0, 1):
            day = now.astimezone(ZoneInfo(zone)).date() - timedelta(days=back)
            opens = datetime.combine(day, time.fromisoformat(start), ZoneInfo(zone))
            if day.weekday() in weekdays and opens.timestamp() <= now.timestamp() < (
                opens.timestamp() + hours * 3600
            ):
                return True
    return not windows


@pytest.mark.processes
def test_in_ten_years_nothing_expires_and_nothing_is_renewed_twice_or_outside_its_window(
    world: World, site: Site
) -> None:
    groups = {settle(world, site, where): where for where in PLACES}
    renewed: dict[str, list[datetime]] = {where.environment: [] for where in PLACES}
    warned = START
    while site.now < START + DECADE:
        for run in tick(site):
            assert run.state == Run.State.SUCCEEDED
            where = groups[run.installation.group]
            assert run.nodes.count() == where.nodes
            assert is_open(where.windows, site.now), (where, site.now)
            renewed[where.environment].append(site.now)
        for machine in site.machines.values():
            assert machine.served
            assert all(leaf.not_after > site.now for leaf in machine.served), machine
        if site.now >= warned + REST:
            endings_tick(warned := site.now)
        # While nothing is due nothing can begin: that is looked at now and then.
        site.now = max(site.now + STEP, min(first_due(), site.now + REST))
    told = AuditEvent.objects.filter(verb__regex="ending|expired")
    # The authorities end after ten years and two days, and with them what they issued last.
    assert {(each.verb, each.detail.get("renewal")) for each in told} == {
        ("authority.ending", None),
        ("certificates.ending", "last"),
    }
    for where in PLACES:
        assert_regular(where, renewed[where.environment])


def assert_regular(where: Place, renewed: list[datetime]) -> None:
    """Each renewal is two thirds of a life after the one before, and a week later at most."""
    life = timedelta(days=where.days, hours=1)
    moments = [START, *renewed]
    for former, later in pairwise(moments):
        took = later - former
        assert 2 * life / 3 - 2 * STEP <= took <= 2 * life / 3 + timedelta(days=8), where
    fewest = DECADE // (2 * life / 3 + timedelta(days=8))
    assert fewest <= len(renewed) <= DECADE // (2 * life / 3 - STEP), where


@pytest.mark.parametrize("days", [90, 365, 3650])
def test_where_renewal_is_off_the_warnings_come_in_order_and_each_once(
    world: World, site: Site, days: int
) -> None:
    group = place(world, "shop", "cache", nodes=2)
    site.install(group, lifetime_days=str(days), renew="off")
    ends = START + timedelta(days=days)
    told = watch(site, ends - timedelta(days=40), ends + timedelta(days=10), str(group))
    assert told == [
        ("certificates.ending", 30, 30),
        ("certificates.ending", 14, 14),
        ("certificates.ending", 7, 7),
        ("certificates.expired", 0, 0),
    ]
    assert not Run.objects.filter(action="reissue").exists()
    event = AuditEvent.objects.filter(verb="certificates.expired").get()
    assert (event.actor_name, event.detail["renewal"]) == ("redoubt", "off")
    assert (event.detail["nodes"], event.detail["count"]) == (["cache-1", "cache-2"], 2)


def watch(site: Site, since: datetime, until: datetime, target: str) -> list[tuple[str, int, int]]:
    """Tick twice a day; return the warnings with their days, and the days that were left."""
    site.now = since
    told: list[tuple[str, int, int]] = []
    ends = until - timedelta(days=10)
    while site.now < until:
        tick(site)
        endings_tick(site.now)
        events = AuditEvent.objects.filter(target=target, verb__regex="ending|expired")
        for event in events.order_by("pk")[len(told) :]:
            left = (ends - site.now) / timedelta(days=1)
            told.append((event.verb, event.detail["days"], round(left)))
        site.now += timedelta(hours=12)
    return told


def shop(world: World) -> Environment:
    return place(world, "shop", "cache").environment


def test_clients_and_authorities_are_warned_of_alike(world: World, site: Site) -> None:
    environment = shop(world)
    request = ClientRequest(holder="billing", lifetime_days=60)
    client = client_certificate_issue(
        actor=ANNA, environment=environment, request=request, now=START
    ).certificate
    ends = START + timedelta(days=60)
    told = watch(site, ends - timedelta(days=25), ends + timedelta(days=10), str(client))
    # Nothing is said before a third of it is left: twenty days.
    assert told == [
        ("certificate.ending", 30, 20),
        ("certificate.ending", 14, 14),
        ("certificate.ending", 7, 7),
        ("certificate.expired", 0, 0),
    ]
    authority = Authority.objects.get()
    ends = authority.not_after
    told = watch(site, ends - timedelta(days=40), ends + timedelta(days=10), str(authority))
    assert [(verb, days) for verb, days, _ in told] == [
        ("authority.ending", 30),
        ("authority.ending", 14),
        ("authority.ending", 7),
        ("authority.expired", 0),
    ]


def test_of_a_client_certificate_that_was_issued_again_nobody_is_warned(
    world: World, site: Site
) -> None:
    environment = shop(world)
    first = client_certificate_issue(
        actor=ANNA, environment=environment, request=ClientRequest("billing"), now=START
    ).certificate
    again = ClientRequest("billing", replaces=first.serial)
    client_certificate_issue(actor=ANNA, environment=environment, request=again, now=START)
    first.refresh_from_db()
    assert first.state == Certificate.State.REPLACED
    ends = START + timedelta(days=365)
    told = watch(site, ends - timedelta(days=40), ends + timedelta(days=10), str(first))
    assert told == []


def test_after_a_pause_only_the_stage_that_counts_now_is_warned_of(
    world: World, site: Site
) -> None:
    group = place(world, "shop", "cache")
    site.install(group, renew="off")
    ends = START + timedelta(days=365)
    told = watch(site, ends - timedelta(days=10), ends + timedelta(days=10), str(group))
    assert [days for _, days, _ in told] == [14, 7, 0]


def test_what_cannot_be_renewed_is_warned_of_too(world: World, site: Site) -> None:
    group = place(world, "shop", "cache")
    site.install(group)
    site.machine(group.nodes.get()).silent = True
    ends = START + timedelta(days=365)
    told = watch(site, ends - timedelta(days=40), ends + timedelta(days=10), str(group))
    assert [days for _, days, _ in told] == [30, 14, 7, 0]
    site.machine(group.nodes.get()).silent = False
    site.pass_by(days=2)
    assert tick(site)[0].state == Run.State.SUCCEEDED
