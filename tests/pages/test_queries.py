"""A page costs the same number of queries however large the fleet is."""

from itertools import cycle, islice

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from addons.clients.selectors import client_certificates_of
from addons.models import Run
from instances.models import Environment, Machine, Node
from tests.pages.world import BUNDLE, HOST_KEY, VERIFIED, WRONG, World
from tests.topology.recorded import CLUSTER

MOST = 15


def fleet(world: World, environments: int, nodes: int) -> None:
    for number in range(environments):
        group = world.group(f"env-{number}", "cache", nodes=nodes)
        world.installed(group, *[VERIFIED, WRONG] * nodes)
        world.told(group, "redis-7.0", "plain", tuple(islice(cycle(CLUSTER), nodes)))
        world.sampled(group, *(f"10.0.0.{each}" for each in range(nodes)))
        run = world.run(group, Run.State.RUNNING, started_at=timezone.now(), bundle=BUNDLE)
        world.run(group, Run.State.STUCK)
        world.run(group, Run.State.PREVIEWED)
        world.authority(group.environment)
        for each in range(nodes):
            world.client_certificate(group.environment, f"app-{each}")
        for row in run.nodes.select_related("node"):
            world.record(run, row.node, "certificate", "applied", "done")
    Machine.objects.filter(address__startswith="cache-1.").update(
        host_key=HOST_KEY, host_key_confirmed_at=None
    )
    Node.objects.filter(name="cache-2").update(fault={"reason": "X", "message": "x"})


PAGES = [
    "/",
    "/search/?q=cache",
    "/search/?q=1",
    "/environments/",
    "/environments/env-0/",
    "/environments/env-0/cache/",
    "/environments/env-0/cache/addons/",
    "/environments/env-0/cache/plaintext/",
    "/environments/env-0/cache/plaintext.csv",
    "/environments/env-0/cache/topology/",
    "/environments/env-0/cache/runs/",
    "/environments/env-0/cache/connect/",
    "/environments/env-0/cache/nodes/add/",
    "/environments/env-0/cache/nodes/add-many/",
    "/environments/env-0/cache/host-keys/",
    "/environments/env-0/cache/addons/encryption/install/",
    "/nodes/{node}/",
    "/nodes/{node}/edit/",
    "/addons/",
    "/addons/encryption/",
    "/addons/encryption/install/?environment=env-0",
    "/runs/",
    "/runs/{running}/",
    "/runs/{previewed}/",
    "/runs/{running}/report.md",
    f"/runs/together/{BUNDLE}/",
    "/audit/",
    "/keys/",
    "/archive/",
    "/certificates/",
    "/certificates/authorities/",
    "/certificates/clients/",
    "/environments/env-0/-/certificates/",
    "/environments/env-0/-/certificates/issue/",
    "/environments/env-0/-/certificates/{client}/",
    "/environments/env-0/-/windows/",
    "/environments/env-0/-/archive/",
    "/environments/env-0/cache/archive/",
    "/nodes/{node}/archive/",
    "/nodes/{node}/gone/",
]


@pytest.mark.parametrize("size", [(1, 2), (4, 9)])
def test_every_page_takes_few_queries_at_any_size(
    size: tuple[int, int], world: World, signed_in: Client
) -> None:
    fleet(world, *size)
    counted = {page: count(signed_in, page) for page in addresses()}
    assert {page: queries for page, queries in counted.items() if queries > MOST} == {}


def test_the_number_of_queries_does_not_grow(world: World, signed_in: Client) -> None:
    fleet(world, 2, 3)
    lists = [*PAGES[:10], "/addons/", "/addons/encryption/", "/runs/", "/audit/"]
    before = {page: count(signed_in, page) for page in lists}
    for number in range(3):
        group = world.group(f"more-{number}", "queue", nodes=5)
        world.installed(group, *[VERIFIED] * 5)
        world.run(group, Run.State.STUCK)
    assert {page: count(signed_in, page) for page in lists} == before


def addresses() -> list[str]:
    """The pages of one thing of each sort."""
    things = {
        "node": Node.objects.filter(name="cache-1").first(),
        "running": Run.objects.filter(state=Run.State.RUNNING).first(),
        "previewed": Run.objects.filter(state=Run.State.PREVIEWED).first(),
        "client": client_certificates_of(Environment.objects.get(name="env-0")).first(),
    }
    keys = {name: thing.pk for name, thing in things.items() if thing}
    return [page.format_map(keys) for page in PAGES]


def count(browser: Client, page: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(page).status_code == 200, page
    return len(queries)


def test_a_list_is_paged(world: World, signed_in: Client) -> None:
    group = world.group("shop", "cache")
    for _ in range(30):
        world.run(group, Run.State.SUCCEEDED)
    first = signed_in.get("/runs/?state=succeeded")
    assert len(first.context["lines"]) == 25
    assert b"?state=succeeded&amp;page=2" in first.content
    assert len(signed_in.get("/runs/?state=succeeded&page=2").context["lines"]) == 5
