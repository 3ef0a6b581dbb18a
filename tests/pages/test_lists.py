"""What lists count and narrow by in SQL is what pages say in words."""

from datetime import timedelta
from itertools import product

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from addons.health import (
    Counts,
    as_wanted,
    counts_since,
    fleet_counts,
    fleet_parts,
    health_of,
    installed,
    not_as_wanted,
)
from addons.models import NodeInstallation
from instances.models import Machine, Node
from instances.reached import Reached, reached
from panel.pages.state import node_shown, row_shown
from panel.views import lists
from tests.pages.world import HOST_KEY, VERIFIED, WRONG, World, condition

UNSURE = condition("unknown", "Stuck", "The last run neither reached its goal.")


def test_health_in_sql_is_health_in_words(world: World) -> None:
    group = world.group("shop", "cache", nodes=24)
    installation = world.installed(group)
    now = timezone.now()
    ends = (None, now - timedelta(days=1), now + timedelta(days=1))
    times = (now, counts_since(now) - timedelta(seconds=1))
    found = product([[], [VERIFIED], [VERIFIED, WRONG], [VERIFIED, UNSURE]], ends, times)
    for node, (conditions, end, at) in zip(group.nodes.all(), found, strict=True):
        NodeInstallation.objects.create(
            installation=installation,
            node=node,
            conditions=conditions,
            health=health_of(conditions),
            not_after=end,
            observed_at=at,
            observed_generation=1,
        )
    good = set(installed().filter(as_wanted(now)))
    bad = set(installed().filter(not_as_wanted(now)))
    for row in NodeInstallation.objects.select_related("installation"):
        kind = "ok" if row in good else "bad" if row in bad else "unknown"
        assert row_shown(row, row.installation).kind == kind, (row.conditions, row.not_after)
    found_parts = {kind: number for part in fleet_parts("encryption", now) for kind, number in part}
    counts = fleet_counts(found_parts)
    assert (counts.installed, counts.verified, counts.bad) == (24, len(good), len(bad))
    assert counts.plain == sum(row.not_after is None for row in good) > 0
    assert counts.encrypted == len(good) - counts.plain


@pytest.mark.parametrize(
    ("minutes", "counts"), [(15, 60), (5, 30), (1, 30), (120, 480), (0, 24 * 60)]
)
def test_what_was_good_is_unknown_after_a_few_missed_looks(
    minutes: int, counts: int, settings: Settings, world: World, signed_in: Client
) -> None:
    settings.OBSERVE_INTERVAL = timedelta(minutes=minutes)
    installation = world.installed(world.group("shop", "cache"), VERIFIED, WRONG)
    rows = NodeInstallation.objects.filter(installation=installation)
    for late, seen in ((-1, ["ok", "bad"]), (1, ["unknown", "bad"])):
        rows.update(observed_at=timezone.now() - timedelta(minutes=counts + late))
        shown = [row_shown(row, row.installation) for row in rows.order_by("pk")]
        assert [each.kind for each in shown] == seen
        counted = signed_in.get("/").context["counts"]
        assert (counted.verified, counted.bad) == (seen.count("ok"), 1)
    assert shown[0].word.startswith("Last seen ")
    assert shown[0].at
    found = signed_in.get("/nodes/?encryption=unknown").content.decode()
    assert shown[0].word in found
    assert "cache-1" not in signed_in.get("/nodes/?encryption=verified").content.decode()


def test_each_node_is_in_one_state_in_sql_and_in_words(world: World) -> None:
    group = world.group("shop", "cache", nodes=0)
    faults = ({}, {"reason": "NoRoute", "message": "gone"}, {"reason": "SudoRefused"})
    keys = (("", None), (HOST_KEY, None), (HOST_KEY, timezone.now()))
    for number, (fault, key, seen) in enumerate(product(faults, keys, (False, True))):
        node = world.node(group, f"cache-{number}", seen=seen)
        Node.objects.filter(pk=node.pk).update(fault=fault)
        Machine.objects.filter(pk=node.machine_id).update(
            host_key=key[0], host_key_confirmed_at=key[1]
        )
    for node in Node.objects.select_related("machine"):
        states = [s for s in Reached if Node.objects.filter(reached(s), pk=node.pk).exists()]
        assert [state.label for state in states] == [node_shown(node).word]


def test_the_dashboard_leaves_out_what_only_a_failed_install_left(
    world: World, signed_in: Client
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, WRONG)
    left = world.installed(world.group("shop", "queue"), VERIFIED, WRONG)
    left.generation = 0
    left.save()
    assert signed_in.get("/").context["counts"] == Counts(installed=2, verified=1, bad=1)


def test_an_expired_certificate_is_not_counted_as_verified(world: World, signed_in: Client) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    first = NodeInstallation.objects.order_by("pk")[:1]
    NodeInstallation.objects.filter(pk__in=first.values("pk")).update(
        not_after=timezone.now() - timedelta(seconds=1)
    )
    response = signed_in.get("/")
    assert response.context["counts"] == Counts(installed=2, verified=1, bad=1)
    assert b"is not as it should be" in response.content


def names(client: Client, address: str) -> list[str]:
    return [line.node.name for line in client.get(address).context["nodes"]]


@pytest.fixture
def fleet(world: World) -> World:
    cache = world.group("shop", "cache", nodes=3)
    world.installed(cache, VERIFIED, WRONG, None)
    world.group("bank", "ledger", nodes=1)
    broken = cache.nodes.get(name="cache-3")
    Node.objects.filter(pk=broken.pk).update(
        fault={"reason": "NoRoute", "message": "no route"},
        facts={
            "os": {"name": "Rocky Linux 9"},
            "server": {"product": "valkey", "version": "8.0.2"},
        },
    )
    return world


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["cache-1", "cache-2", "cache-3", "ledger-1"]),
        ("sort=-name", ["ledger-1", "cache-3", "cache-2", "cache-1"]),
        ("environment=ba", ["ledger-1"]),
        ("group=cache&environment=shop", ["cache-1", "cache-2", "cache-3"]),
        ("state=no-answer", ["cache-3"]),
        ("server=valkey+8.0.2", ["cache-3"]),
        ("system=Rocky+Linux+9", ["cache-3"]),
        ("encryption=verified", ["cache-1"]),
        ("encryption=bad", ["cache-2"]),
        ("encryption=unknown", ["cache-3"]),
        ("encryption=none", ["ledger-1"]),
        ("q=cache-1.shop", ["cache-1"]),
        ("q=nothing-like-it", []),
        ("state=no-such-state", []),
        ("sort=no-such-order", []),
    ],
)
def test_nodes_are_narrowed_and_sorted_by_the_address(
    fleet: World, signed_in: Client, query: str, found: list[str]
) -> None:
    assert names(signed_in, f"/nodes/?{query}") == found


def test_a_group_narrows_its_own_nodes_alone(fleet: World, signed_in: Client) -> None:
    assert names(signed_in, "/environments/shop/cache/?encryption=bad") == ["cache-2"]
    assert names(signed_in, "/environments/shop/cache/?q=ledger") == []


@pytest.mark.parametrize(
    "address",
    [
        "/nodes/?q=zzz",
        "/environments/?q=zzz",
        "/environments/shop/?q=zzz",
        "/environments/shop/cache/?q=zzz",
        "/audit/?q=zzz",
    ],
)
def test_a_filter_that_finds_nothing_says_so_and_leads_back(
    fleet: World, signed_in: Client, address: str
) -> None:
    text = signed_in.get(address).content.decode()
    assert "Clear filters" in text
    assert f'href="{address.partition("?")[0]}">Clear filters' in text


def test_a_heading_sorts_and_then_turns_round(fleet: World, signed_in: Client) -> None:
    text = signed_in.get("/nodes/?state=reachable&page=1").content.decode()
    assert 'aria-sort="ascending"><a class="sort" href="?state=reachable&amp;sort=-name"' in text
    turned = signed_in.get("/nodes/?sort=-seen").content.decode()
    assert 'aria-sort="descending"><a class="sort" href="?sort=seen"' in turned


def test_a_narrowed_list_is_counted_no_further_than_its_last_page(
    fleet: World, signed_in: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MOST", 1)
    monkeypatch.setattr(lists.listed, "__defaults__", (2,))
    narrowed = signed_in.get("/nodes/?group=cache")
    assert len(narrowed.context["nodes"]) == 2
    assert narrowed.context["page"].paginator.more
    whole = signed_in.get("/nodes/")
    assert whole.context["page"].paginator.num_pages == 2
    assert b"1\xe2\x80\x932 of 4" in whole.content


def test_an_environment_shows_the_first_nodes_of_each_group(
    world: World, signed_in: Client
) -> None:
    world.group("shop", "cache", nodes=7)
    world.group("shop", "queue", nodes=2)
    response = signed_in.get("/environments/shop/")
    shown = {line.group.name: len(nodes) for line, nodes in response.context["groups"]}
    assert shown == {"cache": 5, "queue": 2}
    assert b"All 7 nodes" in response.content


def test_an_empty_panel_leads_from_its_nodes_to_a_first_environment(signed_in: Client) -> None:
    assert b"Make an environment" in signed_in.get("/nodes/").content
