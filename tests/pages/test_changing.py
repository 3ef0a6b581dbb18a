"""Renaming, and removing what is empty."""

import pytest
from django.test import Client

from addons.models import Installation, Run
from instances.models import AuditEvent, Environment, Machine, Node, NodeGroup
from tests.pages.world import VERIFIED, World


def test_an_environment_is_renamed_and_gets_another_region(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    response = signed_in.post("/environments/shop/-/edit/", {"name": "store", "region": "us"})
    assert response["Location"] == "/environments/store/"
    assert Environment.objects.get().region == "us"
    event = AuditEvent.objects.get(verb="environment.update")
    assert (event.target, event.detail["before"]) == ("store", "shop")


def test_a_group_is_renamed(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    response = signed_in.post("/environments/shop/cache/edit/", {"name": "pages"})
    assert response["Location"] == "/environments/shop/pages/"
    assert signed_in.get(response["Location"]).status_code == 200


@pytest.mark.parametrize(
    "address", ["/environments/shop/-/edit/", "/environments/shop/cache/edit/"]
)
@pytest.mark.parametrize("name", ["Not Good", "taken"])
def test_a_name_that_cannot_be_is_said_at_its_field(
    signed_in: Client, world: World, address: str, name: str
) -> None:
    world.group("shop", "cache")
    world.group("shop", "taken")
    world.group("taken", "cache")
    response = signed_in.post(address, {"name": name, "region": ""})
    assert b"id_name-error" in response.content
    assert Environment.objects.filter(name="shop").exists()
    assert NodeGroup.objects.filter(name="cache").count() == 2


def test_what_is_empty_is_removed_once_its_name_is_typed(signed_in: Client, world: World) -> None:
    node = world.node(world.group("shop", "cache", nodes=0), "cache-1")
    for address, name in (
        (f"/nodes/{node.pk}/remove/", "cache-1"),
        ("/environments/shop/cache/remove/", "cache"),
        ("/environments/shop/-/remove/", "shop"),
    ):
        assert f"Type {name} to confirm".encode() in signed_in.get(address).content
        wrong = signed_in.post(address, {"typed": "something"})
        assert b"This is another name" in wrong.content
        response = signed_in.post(address, {"typed": name})
        assert response.status_code == 302
        assert signed_in.get(response["Location"]).status_code == 200
    assert not Node.objects.exists()
    assert not Machine.objects.exists()
    assert not Environment.objects.exists()
    verbs = set(AuditEvent.objects.values_list("verb", flat=True))
    assert {"node.remove", "group.remove", "environment.remove"} <= verbs


def test_what_is_not_empty_stays_and_says_why(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    group = signed_in.post("/environments/shop/cache/remove/", {"typed": "cache"})
    assert b"shop / cache has 2 nodes." in group.content
    environment = signed_in.post("/environments/shop/-/remove/", {"typed": "shop"})
    assert b"shop has 1 node group." in environment.content
    assert NodeGroup.objects.count() == 1


def test_while_an_add_on_is_on_nothing_of_it_is_removed(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=1)
    world.installed(group, VERIFIED)
    node = group.nodes.get()
    for address, name in (
        (f"/nodes/{node.pk}/remove/", "cache-1"),
        ("/environments/shop/cache/remove/", "cache"),
        ("/environments/shop/-/remove/", "shop"),
    ):
        assert b"to confirm" not in signed_in.get(address).content
        assert b"Encryption in transit is on in" in signed_in.get(address).content
        page = signed_in.post(address, {"typed": name}).content
        assert b"Uninstall it first" in page
    assert Node.objects.exists()


def test_what_is_on_record_is_kept(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=1)
    world.run(group, Run.State.SUCCEEDED)
    Installation.objects.update(generation=0)
    node = group.nodes.get()
    page = signed_in.post(f"/nodes/{node.pk}/remove/", {"typed": "cache-1"}).content
    assert b"is on record, and is kept" in page
    assert Node.objects.exists()
    assert not AuditEvent.objects.filter(verb="node.remove").exists()


def test_a_machine_with_another_server_on_it_stays(world: World) -> None:
    from instances.services import NodeRequest, node_register, node_remove

    group = world.group("shop", "cache", nodes=0)
    first, second = (
        node_register(
            actor=world.actor,
            group=group,
            request=NodeRequest(address="10.0.0.1", name=name, unit=f"{name}.service"),
        )
        for name in ("one", "two")
    )
    node_remove(actor=world.actor, node=first)
    assert Machine.objects.count() == 1
    node_remove(actor=world.actor, node=second)
    assert not Machine.objects.exists()
