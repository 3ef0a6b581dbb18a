"""The list of who still speaks plaintext, and where it is told of."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.test import Client
from django.utils import timezone

from addons.encryption.models import PlainPort
from addons.watch import services
from instances.models import Machine, Node, NodeGroup
from instances.nodeconf.client_list import Kind
from tests.pages.world import VERIFIED, World

PAGE = "/environments/shop/cache/plaintext/"
CSV = "/environments/shop/cache/plaintext.csv"
CARD = "/environments/shop/cache/addons/"
VERIFY = "/environments/shop/cache/addons/encryption/-/verify/"


@pytest.fixture
def cache(world: World) -> NodeGroup:
    group = world.group("shop", "cache")
    world.installed(group, VERIFIED, VERIFIED)
    return group


@pytest.fixture
def met(world: World, cache: NodeGroup) -> NodeGroup:
    """One client is there, one was yesterday, one some days ago."""
    world.sampled(cache, "10.0.0.3", hours_ago=80, name="cron", user="jobs", age=2)
    world.sampled(cache, "10.0.0.2", hours_ago=20, kind=Kind.PUBSUB, library="jedis 5.2.0")
    world.sampled(cache, "10.0.0.1", name='web"<b>', user="shop", age=7300)
    return cache


def text_of(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def addresses(client: Client, query: str = "") -> list[str]:
    lines = client.get(f"{PAGE}{query}").context["lines"]
    return [line.caller.address for line in lines]


def test_it_tells_who_is_there_and_who_was(signed_in: Client, met: NodeGroup) -> None:
    page = text_of(signed_in, PAGE)
    assert addresses(signed_in) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert "web&quot;&lt;b&gt;" in page
    assert '<span class="state wait">2 connections</span>' in page
    assert "2 clients used the plain port in the last 24 hours" in page
    assert ">2 hours<" in page
    assert "jedis 5.2.0" in page
    assert "subscribes" in page
    assert "one every 15 minutes" in page
    assert "Who comes and goes between two samples is not seen here." in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=web", ["10.0.0.1"]),
        ("?q=jobs", ["10.0.0.3"]),
        ("?q=JEDIS", ["10.0.0.2"]),
        ("?q=10.0.0", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("?kind=pubsub", ["10.0.0.2"]),
        ("?kind=nonsense", []),
        ("?seen=now", ["10.0.0.1"]),
        ("?seen=1", ["10.0.0.1", "10.0.0.2"]),
        ("?node=cache-1&seen=now", ["10.0.0.1"]),
        ("?node=queue", []),
        ("?sort=-address", ["10.0.0.3", "10.0.0.2", "10.0.0.1"]),
        ("?sort=-lasted", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("?sort=seen", ["10.0.0.3", "10.0.0.2", "10.0.0.1"]),
        ("?sort=samples", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ],
)
def test_it_is_narrowed_and_sorted(
    query: str, found: list[str], signed_in: Client, met: NodeGroup
) -> None:
    assert addresses(signed_in, query) == found


def test_a_long_list_is_paged(signed_in: Client, world: World, cache: NodeGroup) -> None:
    world.sampled(cache, *(f"10.0.{each}.1" for each in range(60)))
    assert len(addresses(signed_in)) == 50
    assert len(addresses(signed_in, "?page=2")) == 10


def test_a_node_of_the_panel_is_called_by_its_name(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    second = cache.nodes.get(name="cache-2")
    Machine.objects.filter(pk=second.machine_id).update(address="10.0.0.8")
    world.sampled(cache, "10.0.0.8", "127.0.0.1", kind=Kind.REPLICA)
    page = text_of(signed_in, PAGE)
    assert f'<a href="/nodes/{second.pk}/">cache-2</a>' in page
    assert "the machine of the server itself" in page
    assert "replicates" in page


def test_the_download_is_the_list_as_it_is_narrowed(signed_in: Client, met: NodeGroup) -> None:
    assert f"{CSV}?q=web" in text_of(signed_in, f"{PAGE}?q=web")
    answer = signed_in.get(f"{CSV}?seen=1")
    assert answer["Content-Disposition"] == 'attachment; filename="plaintext-shop-cache.csv"'
    first, second = csv.DictReader(StringIO(answer.content.decode()))
    assert (first["address"], first["names"], first["users"]) == ("10.0.0.1", 'web"<b>', "shop")
    assert (first["nodes"], first["connections"]) == ("cache-1 cache-2", "2")
    assert (second["does"], second["connections"]) == ("pubsub", "0")


def test_no_spreadsheet_calculates_what_a_client_calls_itself(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    world.sampled(cache, "10.0.0.1", name="=cmd()", user="@sum")
    (line,) = csv.DictReader(StringIO(text_of(signed_in, CSV)))
    assert (line["names"], line["users"]) == ("'=cmd()", "'@sum")


def test_nobody_is_said_with_how_often_somebody_looked(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    for hours_ago in (73, 60, 48, 36, 24, 12, 0):
        world.sampled(cache, hours_ago=hours_ago)
    page = text_of(signed_in, PAGE)
    assert "Nobody seen on the plain port for 3 days" in page
    assert "7 samples of each of 2 plain ports" in page
    assert "None met anybody." in page
    assert "No sample of the last 30 days met a client on a plain port." in page
    assert "Download CSV" not in page


def test_what_was_not_looked_at_is_not_called_clean(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    page = text_of(signed_in, PAGE)
    assert "No sample yet" in page
    assert "Plain port not sampled yet" in page
    world.sampled(cache)
    PlainPort.objects.filter(node__name="cache-2").delete()
    page = text_of(signed_in, PAGE)
    assert "Plain port not sampled yet" in page
    assert "Of 2 nodes 1 has been sampled so far." in page


def test_what_was_not_looked_at_for_long_is_unknown(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    world.sampled(cache, hours_ago=7)
    assert "Plain port not sampled for 7 hours" in text_of(signed_in, PAGE)
    PlainPort.objects.update(port=0)
    assert "Plain port not sampled for 7 hours" in text_of(signed_in, PAGE)


def test_a_closed_port_is_said_to_be_closed(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    world.sampled(cache)
    PlainPort.objects.update(port=0)
    page = text_of(signed_in, PAGE)
    assert "Plain port closed" in page
    assert "No server of this group has a plain port now." in page


def test_without_encryption_nobody_looks(signed_in: Client, world: World) -> None:
    world.group("shop", "queue")
    page = text_of(signed_in, "/environments/shop/queue/plaintext/")
    assert "Nobody looks at the plain port yet" in page
    assert "Look now" not in page


def test_the_card_says_it_with_a_link(signed_in: Client, world: World, cache: NodeGroup) -> None:
    assert f'<a class="state unknown" href="{PAGE}">Plain port not sampled yet</a>' in text_of(
        signed_in, CARD
    )
    world.sampled(cache, "10.0.0.1")
    assert (
        f'<a class="state wait" href="{PAGE}">1 client used the plain port in the last 24 hours</a>'
        in text_of(signed_in, CARD)
    )


def test_the_node_shows_its_own(signed_in: Client, met: NodeGroup) -> None:
    first = met.nodes.get(name="cache-1")
    page = text_of(signed_in, f"/nodes/{first.pk}/")
    assert "Plaintext clients" in page
    assert '<span class="mono wrap-anywhere">10.0.0.1</span>' in page
    assert f'href="{PAGE}?node=cache-1"' in page


def test_a_node_that_nobody_samples_does_not(signed_in: Client, world: World) -> None:
    node = world.group("shop", "queue").nodes.get(name="queue-1")
    assert "Plaintext clients" not in text_of(signed_in, f"/nodes/{node.pk}/")


def test_look_now_comes_back_to_the_list_and_waits(
    signed_in: Client, met: NodeGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(services, "observe_ask", lambda rows, now: asked.extend(rows))
    answer = signed_in.post(VERIFY, {"from": "plaintext"})
    assert len(asked) == 2
    assert answer["Location"].startswith(f"{PAGE}?asked=")
    page = text_of(signed_in, answer["Location"])
    assert 'hx-trigger="every 2s"' in page
    assert "Looking" in page
    fragment = signed_in.get(answer["Location"], headers={"HX-Request": "true"})
    assert fragment.status_code == 200
    assert "<html" not in fragment.content.decode()
    Node.objects.update(looked_at=timezone.now() + timedelta(seconds=1))
    assert signed_in.get(answer["Location"], headers={"HX-Request": "true"}).status_code == 286
    assert signed_in.post(VERIFY)["Location"].startswith(f"{CARD}?asked=")


def test_nobody_sees_it_who_is_not_signed_in(eve: Client, met: NodeGroup) -> None:
    for address in (PAGE, CSV):
        assert eve.get(address).status_code == 302
