"""What ends when: the timeline, and the lists of certificates and authorities."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from addons.archiving import place_archive
from addons.expiry import FAR, endings, near
from addons.models import Certificate, Installation, NodeInstallation
from instances.models import Node, NodeGroup
from panel.pages.expiry import timeline
from panel.pages.state import BAD, WAIT
from tests.pages.html import read
from tests.pages.world import VERIFIED, World

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def rows(client: Client, address: str) -> list[str]:
    return [line.certificate.node.name for line in client.get(address).context["lines"]]


@pytest.fixture
def cache(world: World) -> NodeGroup:
    return world.group("shop", "cache", nodes=5)


@pytest.mark.parametrize(
    ("left", "at"),
    [
        (timedelta(seconds=-1), 0),
        (timedelta(0), 0),
        (timedelta(seconds=1), 1),
        (timedelta(days=7), 1),
        (timedelta(days=7, seconds=1), 2),
        (timedelta(days=14), 2),
        (timedelta(days=30), 3),
        (timedelta(days=30, seconds=1), FAR),
    ],
)
def test_how_near_an_end_is(left: timedelta, at: int) -> None:
    assert near(NOW + left, NOW) == at


def test_what_the_database_counts_is_what_each_row_says(world: World, cache: NodeGroup) -> None:
    authority = world.authority(cache.environment)
    node = cache.nodes.first()
    assert node
    for days in (-400, -0.001, 0.2, 6.9, 7.1, 13, 15, 29, 31, 200, 364):
        world.certificate(authority, node, days)
    now = timezone.now()
    counted = [0] * (FAR + 1)
    for each in endings(now=now, until=now + timedelta(days=400)):
        counted[each.near] += each.count
    wanted = [0] * (FAR + 1)
    for certificate in Certificate.objects.all():
        wanted[near(certificate.not_after, now)] += 1
    assert counted == wanted == [2, 2, 2, 2, 3]


def test_the_timeline_says_what_has_expired_and_what_is_near_in_words(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    authority = world.authority(cache.environment, days=100)
    nodes = list(cache.nodes.order_by("name"))
    for node, days in zip(nodes, (-3, 5, 12, 25, 300), strict=True):
        world.certificate(authority, node, days)
    for address in ("/", "/certificates/"):
        page = signed_in.get(address).content.decode()
        for word, value, count in (
            ("Expired", "expired", 1),
            ("Within 7 days", "7", 1),
            ("Within 14 days", "14", 2),
            ("Within 30 days", "30", 3),
        ):
            link = f'?ends={value}">{word} <span class="num">{count}</span>'
            assert link in page, (address, word)
        assert "1 authority</a>" in page
    kinds = [bar.kind for bar in timeline(timezone.now()).bars]
    assert kinds == [BAD, WAIT, WAIT, "unknown"]


def test_each_link_of_the_timeline_leads_to_what_it_counts(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    authority = world.authority(cache.environment)
    for number, node in enumerate(cache.nodes.order_by("name")):
        for days in (-2, 5 + number, 20, 40 * number, 33 * number + 1):
            world.certificate(authority, node, days)
    shown = timeline(timezone.now())
    for each in shown.near:
        found = signed_in.get(f"/certificates/?ends={each.value}").context["page"].paginator.count
        assert found == each.count, each
    for month in shown.months:
        page = signed_in.get(f"/certificates/?ends={month.value}").context["page"]
        assert page.paginator.count == month.leaves, month


def test_only_what_is_in_force_on_what_is_not_archived_counts(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    authority = world.authority(cache.environment)
    first, second, *_ = cache.nodes.order_by("name")
    world.certificate(authority, first, 50)
    world.certificate(authority, first, 60, state=Certificate.State.REPLACED)
    world.certificate(authority, first, 60, state=Certificate.State.ABANDONED)
    world.certificate(authority, second, 70)
    place_archive(actor=world.actor, place=second, now=timezone.now())
    assert rows(signed_in, "/certificates/") == ["cache-1"]
    assert timeline(timezone.now()).total == 1
    place_archive(actor=world.actor, place=cache.environment, now=timezone.now())
    assert rows(signed_in, "/certificates/") == []
    assert signed_in.get("/certificates/authorities/").context["lines"] == []


def test_each_certificate_shows_what_was_seen_in_its_place_and_when(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    world.installed(cache, VERIFIED, VERIFIED, None)
    authority = world.authority(cache.environment)
    nodes = list(cache.nodes.order_by("name"))
    certificates = [world.certificate(authority, node, 90) for node in nodes[:3]]
    NodeInstallation.objects.filter(node=nodes[0]).update(
        observed={"fingerprint": certificates[0].fingerprint}
    )
    lines = signed_in.get("/certificates/?sort=holder").context["lines"]
    assert [line.seen.word for line in lines] == ["Served", "Another one", "Not observed"]
    assert lines[0].seen.at
    page = signed_in.get("/certificates/").content.decode()
    assert certificates[0].serial in page
    assert certificates[0].fingerprint in page
    assert Installation.objects.count() == 1


def test_the_list_is_narrowed_and_sorted_by_its_address(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    other = world.group("other", "queue", nodes=1)
    one, two = world.authority(cache.environment), world.authority(other.environment)
    first = Node.objects.get(name="cache-1")
    world.certificate(one, first, 90)
    serial = world.certificate(one, Node.objects.get(name="cache-2"), 30.5, purpose="client").serial
    world.certificate(two, other.nodes.get(), 60)
    assert rows(signed_in, "/certificates/") == ["cache-2", "queue-1", "cache-1"]
    assert rows(signed_in, "/certificates/?sort=-holder") == ["queue-1", "cache-2", "cache-1"]
    assert rows(signed_in, "/certificates/?sort=environment") == ["queue-1", "cache-2", "cache-1"]
    assert rows(signed_in, "/certificates/?environment=oth") == ["queue-1"]
    assert rows(signed_in, "/certificates/?purpose=client") == ["cache-2"]
    assert rows(signed_in, f"/certificates/?q={serial}") == ["cache-2"]
    assert rows(signed_in, "/certificates/?ends=never") == []


def test_authorities_show_their_environment_and_what_they_issued(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    authority = world.authority(cache.environment, days=12)
    node = cache.nodes.first()
    assert node
    world.certificate(authority, node, 10)
    world.certificate(authority, node, 10, state=Certificate.State.REPLACED)
    page = signed_in.get("/certificates/authorities/").content.decode()
    assert "shop authority" in page
    assert "Within 14 days" in page
    assert "ends no later" in page
    assert "1 certificate</span>" in page
    assert authority.fingerprint in page
    assert signed_in.get("/certificates/authorities/?ends=expired").context["lines"] == []


def test_an_empty_list_leads_on(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    assert b"No certificates yet" in signed_in.get("/certificates/").content
    assert b"No authorities yet" in signed_in.get("/certificates/authorities/").content
    assert b"No certificate of a node is in force" in signed_in.get("/").content


def test_the_chart_is_drawn_by_attributes_within_its_frame(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    authority = world.authority(cache.environment, days=364)
    for node in cache.nodes.all():
        for days in (0.1, 364.9, 100):
            world.certificate(authority, node, days)
    bars = [
        each.attrs
        for each in read(signed_in.get("/certificates/").content).elements
        if each.tag == "rect" and "timeline-bar" in (each.attrs.get("class") or "")
    ]
    assert len(bars) == 3
    for bar in bars:
        assert 0 <= float(str(bar["x"]).removesuffix("%")) <= 98.5
        assert int(str(bar["y"])) + int(str(bar["height"])) == 84


def test_the_timeline_takes_one_query(world: World, cache: NodeGroup) -> None:
    authority = world.authority(cache.environment)
    for node in cache.nodes.all():
        world.certificate(authority, node, 90)
    with CaptureQueriesContext(connection) as queries:
        timeline(timezone.now())
    assert len(queries) == 1
