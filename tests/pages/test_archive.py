"""Archiving what is no longer used, and bringing it back."""

import pytest
from django.test import Client
from django.utils import timezone

from addons.archiving import place_archive
from addons.models import Installation, Run
from addons.runs.services import run_create
from instances.errors import Conflict
from instances.looks import node_look
from instances.models import AuditEvent, Environment, Machine, Node, NodeGroup
from instances.services import NodeRequest, credential_create, node_register, node_remove
from tests.pages.html import read
from tests.pages.world import VERIFIED, World

LISTS = ["/", "/environments/", "/search/?q=shop", "/search/?q=cache", "/runs/"]


def options(page: bytes) -> set[str | None]:
    return {each.attrs.get("value") for each in read(page).elements if each.tag == "option"}


def test_an_archived_environment_leaves_lists_search_counts_and_pickers(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    world.group("other", "queue", nodes=1)
    response = signed_in.post("/environments/shop/-/archive/")
    shop = Environment.recorded.get(name="shop")
    assert response["Location"] == f"/archive/environment/{shop.pk}/"
    for address in LISTS:
        page = signed_in.get(address).content
        assert b"/environments/shop/" not in page, address
        assert b"cache-1" not in page, address
        assert "shop" not in options(page), address
    assert b"of 1</span>" in signed_in.get("/").content
    assert (Environment.objects.count(), NodeGroup.objects.count(), Node.objects.count()) == (
        1,
        1,
        1,
    )
    assert signed_in.get("/environments/shop/").status_code == 404
    assert signed_in.get("/environments/shop/cache/").status_code == 404


def test_what_is_archived_keeps_its_records_and_comes_back_whole(
    signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache")
    run = world.run(group, Run.State.SUCCEEDED)
    node = group.nodes.get(name="cache-1")
    signed_in.post("/environments/shop/-/archive/")
    assert b"shop" in signed_in.get("/archive/").content
    shop = Environment.recorded.get()
    page = signed_in.get(f"/archive/environment/{shop.pk}/").content
    assert run.get_absolute_url().encode() in page
    assert b"1</span> node group archived with it" in page
    assert signed_in.get(run.get_absolute_url()).status_code == 200
    led = signed_in.get(f"/nodes/{node.pk}/")
    assert led["Location"] == f"/archive/node/{node.pk}/"
    assert b"comes back with it" in signed_in.get(led["Location"]).content
    response = signed_in.post(f"/archive/environment/{shop.pk}/restore/")
    assert response["Location"] == "/environments/shop/"
    assert b"cache-2" in signed_in.get("/environments/shop/").content
    verbs = list(AuditEvent.objects.values_list("verb", flat=True))
    assert {"environment.archive", "environment.restore"} <= set(verbs)
    assert AuditEvent.objects.get(verb="environment.archive").detail == {"nodes": 2, "groups": 1}


def test_what_was_archived_before_the_whole_stays_archived(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache")
    early = group.nodes.get(name="cache-1")
    signed_in.post(f"/nodes/{early.pk}/archive/")
    signed_in.post("/environments/shop/cache/archive/")
    group = NodeGroup.recorded.get()
    assert [row["name"] for row in signed_in.get("/archive/").context["page"]] == ["cache"]
    signed_in.post(f"/archive/group/{group.pk}/restore/")
    assert list(Node.objects.values_list("name", flat=True)) == ["cache-2"]
    assert [row["name"] for row in signed_in.get("/archive/").context["page"]] == ["cache-1"]


def test_while_an_add_on_is_on_nothing_is_archived_and_uninstall_is_offered(
    signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache", nodes=1)
    world.installed(group, VERIFIED)
    node = group.nodes.get()
    for address in (
        "/environments/shop/-/archive/",
        "/environments/shop/cache/archive/",
        f"/nodes/{node.pk}/archive/",
    ):
        page = signed_in.get(address).content
        assert b"Encryption in transit is on in shop / cache." in page
        assert b'action="/environments/shop/cache/addons/encryption/-/uninstall/"' in page
        assert b"Archive shop</button>" not in page
        response = signed_in.post(address, follow=True)
        assert b"Uninstall it first." in response.content
    assert Node.objects.exists()
    assert not AuditEvent.objects.filter(verb__endswith=".archive").exists()


@pytest.mark.parametrize(
    "state", ["previewing", "previewed", "queued", "running", "putting_back", "stuck"]
)
def test_while_a_run_has_not_ended_nothing_is_archived(
    state: str, signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache", nodes=1)
    run = world.run(group, Run.State(state))
    page = signed_in.get("/environments/shop/-/archive/").content
    assert run.get_absolute_url().encode() in page
    for place in (group, group.environment, group.nodes.get()):
        with pytest.raises(Conflict):
            place_archive(actor=world.actor, place=place, now=timezone.now())


def test_the_name_and_the_server_of_something_archived_are_free_again(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache", nodes=1)
    signed_in.post("/environments/shop/-/archive/")
    again = world.group("shop", "cache", nodes=1)
    assert again.nodes.count() == 1
    assert Machine.objects.count() == 1


def test_a_machine_whose_nodes_are_all_archived_takes_another_login(
    signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache", nodes=1)
    signed_in.post("/environments/shop/cache/archive/")
    group = world.group("shop", "cache", nodes=0)
    credential_create(actor=world.actor, name="other")
    address = Machine.objects.get().address
    request = NodeRequest(address=address, user="admin", credential="other")
    node = node_register(actor=world.actor, group=group, request=request)
    assert (node.machine.user, node.machine.credential.name) == ("admin", "other")
    assert node.machine.host_key


def test_what_is_taken_meanwhile_forbids_a_restore_and_says_so(
    signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache", nodes=1)
    node = group.nodes.get()
    signed_in.post(f"/nodes/{node.pk}/archive/")
    address = f"/archive/node/{node.pk}/restore/"
    request = NodeRequest(address=node.machine.address, name="renamed")
    taken = node_register(actor=world.actor, group=group, request=request)
    page = signed_in.post(address, follow=True).content
    assert b"is registered anew" in page
    node_remove(actor=world.actor, node=taken)
    world.node(group, "cache-1", seen=False)
    assert (
        "There is another “cache-1” now." in signed_in.post(address, follow=True).content.decode()
    )
    signed_in.post("/environments/shop/-/archive/")
    assert b"shop / cache is archived too" in signed_in.post(address, follow=True).content


def test_what_has_no_record_can_be_removed_instead(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=1)
    node = group.nodes.get()
    address = f"/nodes/{node.pk}/archive/"
    assert f"/nodes/{node.pk}/remove/".encode() in signed_in.get(address).content
    assert b"remove/" not in signed_in.get("/environments/shop/cache/archive/").content
    world.run(group, Run.State.SUCCEEDED)
    assert b"remove/" not in signed_in.get(address).content


def test_removing_one_node_of_a_machine_leaves_the_archived_one(world: World) -> None:
    group = world.group("shop", "cache", nodes=0)
    first, second = (
        node_register(
            actor=world.actor,
            group=group,
            request=NodeRequest(address="10.0.0.1", name=name, unit=f"{name}.service"),
        )
        for name in ("one", "two")
    )
    place_archive(actor=world.actor, place=first, now=timezone.now())
    node_remove(actor=world.actor, node=second)
    assert Machine.objects.count() == 1


def test_no_run_is_made_on_an_archived_group(world: World) -> None:
    group = world.group("shop", "cache", nodes=1)
    place_archive(actor=world.actor, place=group, now=timezone.now())
    with pytest.raises(Conflict, match="is archived"):
        run_create(
            actor=world.actor,
            group=group,
            addon="encryption",
            action="install",
            settings={},
            confirmed=False,
        )
    assert not Installation.objects.exists()


def test_a_look_at_a_node_that_is_archived_meanwhile_does_nothing(world: World) -> None:
    node = world.node(world.group("shop", "cache", nodes=0), "cache-1")
    place_archive(actor=world.actor, place=node, now=timezone.now())
    node_look(node=node.pk)
    assert Node.recorded.get().looked_at == node.looked_at


def test_an_empty_archive_leads_on_and_a_filter_narrows_it(signed_in: Client, world: World) -> None:
    assert b"Nothing is archived" in signed_in.get("/archive/").content
    world.group("shop", "cache")
    world.group("other", "queue")
    for name in ("shop", "other"):
        signed_in.post(f"/environments/{name}/-/archive/")
    page = signed_in.get("/archive/?q=sho").content
    assert b">shop</a>" in page
    assert b">other</a>" not in page
    assert "Nothing archived has" in signed_in.get("/archive/?q=x").content.decode()


def test_what_is_not_archived_has_no_page_in_the_archive(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache")
    for address in (f"/archive/group/{group.pk}/", "/archive/node/99/", "/archive/else/1/"):
        assert signed_in.get(address).status_code == 404


def test_a_node_whose_machine_is_gone_is_archived_with_its_add_on(
    signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache")
    installation = world.installed(group, VERIFIED, VERIFIED)
    gone, stays = group.nodes.order_by("name")
    asked = signed_in.get(f"/nodes/{gone.pk}/archive/").content.decode()
    assert f"/nodes/{gone.pk}/gone/" in asked
    assert signed_in.post(f"/nodes/{gone.pk}/gone/", {"typed": "wrong"}).status_code == 200
    assert Node.objects.filter(pk=gone.pk).exists()
    signed_in.post(f"/nodes/{gone.pk}/gone/", {"typed": gone.name})
    assert list(Node.objects.values_list("name", flat=True)) == [stays.name]
    assert list(installation.nodes.values_list("node", flat=True)) == [stays.pk]
    assert AuditEvent.objects.get(verb="node.give_up").detail == {"addons": ["encryption"]}
    signed_in.post(f"/nodes/{stays.pk}/gone/", {"typed": stays.name})
    installation.refresh_from_db()
    assert installation.generation == 0
    assert signed_in.post("/environments/shop/-/archive/").status_code == 302
    assert not Environment.objects.exists()


def test_a_node_of_a_run_under_way_is_not_given_up(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache")
    run = world.run(group, Run.State.STUCK)
    node = group.nodes.get(name="cache-1")
    page = signed_in.post(f"/nodes/{node.pk}/gone/", {"typed": node.name}, follow=True)
    assert f"Run {run.pk}" in page.content.decode()
    assert Node.objects.filter(pk=node.pk).exists()
