"""The page of who follows whom: its picture, its table, and what it offers."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from instances.models import Node, NodeGroup
from panel.pages.drawing import WIDTH
from tests.pages.world import World
from tests.topology.recorded import CLUSTER, REPLICATION, SENTINELS, VERSIONS, address, said

PAGE = "/environments/shop/cache/topology/"
ADD = "/environments/shop/cache/nodes/add-many/?from=topology"


def text_of(client: Client, page: str = PAGE) -> str:
    return client.get(page).content.decode()


def states(client: Client) -> dict[str, str]:
    return {each.member.name: each.state.word for each in client.get(PAGE).context["seen"].members}


def test_a_replication_is_drawn_and_listed(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=6)
    world.told(group, "redis-7.0", "tls", (*REPLICATION, *SENTINELS))
    page = text_of(signed_in)
    assert "1 primary, 2 replicas, 3 Sentinels." in page
    assert page.count('class="topology-line link tls ok"') == 2
    assert "followed by cache-2, cache-3, watched by 3 Sentinels. The table below" in page
    assert "3 of 3 Sentinels are up; 2 have to agree" in page
    assert page.count('<span class="state ok" title="tls-replication is on') == 2
    assert "not managed here" not in page


def test_plaintext_and_unknown_links_are_told_apart(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=2)
    world.told(group, "redis-8.0", "plain", REPLICATION[:2])
    page = text_of(signed_in)
    assert page.count("topology-line link plain ok") == 1
    assert page.count("topology-line link open ok") == 1
    assert "The replica does not tell the panel" in page


def test_who_is_not_managed_here_is_offered(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=1)
    world.told(group, "redis-7.0", "plain", (8001,))
    host = address("redis-7.0")
    # All of them share the machine that is registered already.
    assert "5 servers are seen that are not managed here" in text_of(signed_in)
    assert "?from=topology" not in text_of(signed_in)
    row = group.nodes.get().topology
    for node in row.seen["cluster"]["nodes"][1:]:
        node["place"]["address"] = f"10.5.0.{node['place']['port'] - 8000}"
    row.save()
    assert "Add them" in text_of(signed_in)
    listed = signed_in.get(ADD).context["form"].initial["text"].splitlines()
    assert len(listed) == 5
    assert all(line.startswith("10.5.0.") for line in listed)
    assert host not in listed


def test_who_is_managed_in_another_group_is_named_there(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=1)
    world.told(group, "redis-7.0", "plain", (7002,))
    row = group.nodes.get().topology
    row.seen["following"]["primary"]["address"] = "queue-1.shop.example"
    row.seen["sentinels"] = []
    row.save()
    queue = world.group("shop", "queue", nodes=1)
    page = text_of(signed_in)
    assert f'href="/nodes/{queue.nodes.get().pk}/">queue-1</a>' in page
    assert 'in <a href="/environments/shop/queue/topology/">queue</a>' in page
    assert "?from=topology" not in page
    assert "seen that are not managed" not in page
    # Once it is known to listen on another port, it is somebody else on its machine.
    world.tells(queue.nodes.get(), said("redis-7.0", "plain", 7003))
    page = text_of(signed_in)
    assert "on the machine of" in page
    assert "?from=topology" not in page


def test_a_cluster_over_two_environments_is_seen_whole_from_each(
    signed_in: Client, world: World
) -> None:
    here, there = (world.group(name, "cache", nodes=3) for name in ("shop", "abroad"))
    world.told(here, "redis-7.0", "tls", CLUSTER[:3])
    world.told(there, "redis-7.0", "tls", CLUSTER[3:])
    for group, other in ((here, "abroad"), (there, "shop")):
        page = text_of(signed_in, f"/environments/{group.environment}/cache/topology/")
        assert "3 primaries, 3 replicas, 16384 of 16384 slots assigned" in page
        assert f'3 of them are managed in <a href="/environments/{other}/cache/topology/">' in page
        assert page.count(f"in {other} / cache</text>") == 3
        assert "not managed here" not in page
    # Those of the other group have the same names, so they are called by their place, too.
    assert "cache-1 (shop / cache)" in page
    assert "may still be in plaintext" in page
    for group in (here, there):
        assert "may still be in plaintext" in text_of(signed_in)
        installation = world.installed(group)
        installation.spec |= {"tls_cluster": "on"}
        installation.save()
    assert "may still be in plaintext" not in text_of(signed_in)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_down_is_said_first(signed_in: Client, world: World, version: str) -> None:
    group = world.group("shop", "cache", nodes=6)
    world.told(group, version, "plain", CLUSTER)
    assert signed_in.get(PAGE).context["seen"].shown.word == "All up"
    world.told(group, version, "killed", CLUSTER)
    assert signed_in.get(PAGE).context["seen"].shown.word == "1 server down"
    assert states(signed_in)["cache-1"] == "Down"
    assert "topology-box role-primary bad" in text_of(signed_in)


def test_a_disagreement_is_said_on_every_tab_and_on_the_dashboard(
    signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache")
    world.told(group, "redis-7.0", "plain", (7001, 7001))
    said = "cache-1 and cache-2 both take writes"
    assert said in text_of(signed_in)
    assert said in text_of(signed_in, "/environments/shop/cache/")
    assert said in text_of(signed_in, "/environments/shop/cache/addons/")
    assert "The nodes of shop / cache contradict each other" in text_of(signed_in, "/")
    world.told(group, "redis-7.0", "plain", (7001, 7002))
    assert "contradict each other" not in text_of(signed_in, "/")


def test_a_bus_that_a_run_led_to_tls_is_encrypted(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=6)
    world.told(group, "redis-7.0", "tls", CLUSTER)
    assert "links made before that may still be in plaintext" in text_of(signed_in)
    installation = world.installed(group)
    installation.spec |= {"tls_cluster": "on"}
    installation.save()
    assert "the run that set it saw every link made anew" in text_of(signed_in)


def test_servers_that_stand_alone_have_no_picture(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=1)
    assert "Nobody has told yet" in text_of(signed_in)
    world.told(group, "valkey-8.1", "plain", (9001,))
    page = text_of(signed_in)
    assert "This server stands alone" in page
    assert "topology-set" not in page


def test_a_group_without_nodes_leads_to_the_first(signed_in: Client, world: World) -> None:
    world.group("shop", "cache", nodes=0)
    assert "No nodes yet" in text_of(signed_in)


def thirty(world: World) -> NodeGroup:
    """A cluster of fifteen shards, each with a replica."""
    group = world.group("shop", "cache", nodes=30)
    nodes = world.told(group, "redis-7.0", "plain", CLUSTER * 5)
    listed = []
    for index in range(len(nodes)):
        first = index - index % 2
        listed.append(
            {
                "id": f"{index:040x}",
                "place": {"address": f"10.6.0.{index}", "port": 6379},
                "bus": 16379,
                "hostname": "",
                "primary": "" if index == first else f"{first:040x}",
                "down": "",
                "linked": True,
                "slots": [] if index % 2 else [[index * 546, index * 546 + 1091]],
                "epoch": index,
            }
        )
    for index, node in enumerate(nodes):
        row = node.topology
        row.seen |= {"cluster": {"me": f"{index:040x}", "ok": True, "assigned": 16384}}
        row.seen["cluster"]["nodes"] = listed
        row.seen |= {"following": None, "followers": [], "run_id": f"r{index}"}
        row.hosts = [f"10.6.0.{index}"]
        row.save()
    return group


def test_thirty_nodes_are_fifteen_drawings_that_fit_a_telephone(
    signed_in: Client, world: World
) -> None:
    thirty(world)
    response = signed_in.get(PAGE)
    made = response.context["drawings"]
    assert len(made) == 15
    assert all(len(each.boxes) == 2 for each in made)
    for drawing in made:
        below = 0
        for box in drawing.boxes:
            assert box.x >= 0
            assert box.x + box.width <= WIDTH
            assert box.y > below, "no box covers another one"
            below = box.y + box.height
            letters = max(len(text) for _, text, _ in box.lines)
            assert letters * 7.3 < box.width - 20, "its text fits into it"
        assert below <= drawing.height
    assert response.context["seen"].strangers == 0
    order = [int(re.sub(r"\D", "", each.boxes[0].name)) for each in made]
    assert len(set(order)) == 15


def test_thirty_nodes_cost_no_more_queries_than_two(signed_in: Client, world: World) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert signed_in.get(PAGE).status_code == 200
        return len(queries)

    thirty(world)
    many = count()
    Node.objects.exclude(name__in=["cache-1", "cache-2"]).delete()
    # Then somebody is missing: first the servers, then their machines are looked for elsewhere.
    assert count() == many + 2


def test_all_nodes_are_looked_at_by_one_click(
    signed_in: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = world.group("shop", "cache", nodes=3)
    asked: list[int] = []
    monkeypatch.setattr("instances.tasks.node_look.delay", asked.append)
    answer = signed_in.post("/environments/shop/cache/look/")
    assert sorted(asked) == sorted(group.nodes.values_list("pk", flat=True))
    waiting = signed_in.get(answer["Location"])
    assert "hx-trigger" in waiting.content.decode()
    world.told(group, "redis-7.0", "plain", REPLICATION)
    done = signed_in.get(answer["Location"], headers={"HX-Request": "true"})
    assert done.status_code == 286
