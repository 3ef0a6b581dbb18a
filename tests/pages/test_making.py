"""Forms: what they make, and what they say where they cannot."""

import pytest
from django.test import Client

from instances.models import AuditEvent, Credential, Environment, Machine, Node
from tests.pages.html import read
from tests.pages.world import HOST_KEY, World

NODE = {
    "address": "10.77.0.21",
    "name": "cache-1",
    "ssh_port": "2222",
    "user": "deploy",
    "credential": "default",
    "new_key_name": "",
    "host_key": "",
    "client_addresses": "10.77.0.21, cache.shop.example",
    "server_username": "",
    "server_password": "hunter2hunter2",
    "unit": "",
    "config_path": "",
}


@pytest.fixture(autouse=True)
def no_worker(looks: list[int]) -> None:
    """Ask no worker: there is none."""


def test_an_empty_panel_leads_on_to_an_environment(signed_in: Client) -> None:
    assert b"Make an environment" in signed_in.get("/").content


def test_an_environment_leads_on_to_its_first_group_and_that_to_its_first_node(
    signed_in: Client,
) -> None:
    response = signed_in.post("/environments/-/add/", {"name": "shop", "region": "eu-west"})
    assert response["Location"] == "/environments/shop/-/add/"
    response = signed_in.post(response["Location"], {"name": "cache"})
    assert response["Location"] == "/environments/shop/cache/nodes/add/"
    event = AuditEvent.objects.get(verb="environment.create")
    assert (event.actor_name, event.source) == ("ada", "127.0.0.1")


def test_a_bad_name_is_said_at_its_field_and_nothing_typed_is_lost(signed_in: Client) -> None:
    response = signed_in.post("/environments/-/add/", {"name": "Shop!", "region": "eu-west"})
    page = read(response.content)
    name = next(e for e in page.elements if e.attrs.get("name") == "name")
    region = next(e for e in page.elements if e.attrs.get("name") == "region")
    assert name.attrs["value"] == "Shop!"
    assert name.attrs["aria-invalid"] == "true"
    assert "id_name-error" in (name.attrs["aria-describedby"] or "")
    assert "id_name-error" in page.ids
    assert region.attrs["value"] == "eu-west"
    assert not Environment.objects.exists()


def test_a_name_that_is_taken_is_said_at_its_field(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    response = signed_in.post("/environments/-/add/", {"name": "shop"})
    assert b"already exists" in response.content


def test_a_node_is_registered_and_looked_at(
    signed_in: Client, world: World, looks: list[int]
) -> None:
    world.group("shop", "cache", nodes=0)
    response = signed_in.post("/environments/shop/cache/nodes/add/", NODE)
    node = Node.objects.get()
    assert response["Location"].startswith(f"/nodes/{node.pk}/?asked=")
    assert node.client_addresses == ["10.77.0.21", "cache.shop.example"]
    assert (node.machine.ssh_port, node.machine.user) == (2222, "deploy")
    assert node.server_password.reveal() == "hunter2hunter2"
    assert looks == [node.pk]
    page = signed_in.get(response["Location"]).content
    assert b"every 2s" in page
    assert world.credential.public_key.encode() in page


def test_a_new_key_is_made_with_the_node_or_not_at_all(signed_in: Client, world: World) -> None:
    world.group("shop", "cache", nodes=0)
    wanted = {**NODE, "credential": "+", "new_key_name": "payments"}
    signed_in.post("/environments/shop/cache/nodes/add/", {**wanted, "address": ""})
    signed_in.post("/environments/shop/cache/nodes/add/", {**wanted, "name": "No good"})
    assert not Credential.objects.filter(name="payments").exists()
    signed_in.post("/environments/shop/cache/nodes/add/", wanted)
    assert Node.objects.get().machine.credential.name == "payments"


def test_a_password_is_not_sent_back_and_asked_for_again(signed_in: Client, world: World) -> None:
    world.group("shop", "cache", nodes=0)
    response = signed_in.post("/environments/shop/cache/nodes/add/", {**NODE, "name": "No good"})
    text = response.content.decode()
    assert "hunter2hunter2" not in text
    assert "Type it again" in text
    assert "cache.shop.example" in text


def test_a_machine_that_serves_another_node_already_is_said_so(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache", nodes=0)
    signed_in.post("/environments/shop/cache/nodes/add/", NODE)
    response = signed_in.post("/environments/shop/cache/nodes/add/", {**NODE, "name": "cache-2"})
    assert response.status_code == 200
    assert b'role="alert"' in response.content
    assert Node.objects.count() == 1


def test_a_key_is_made_and_its_line_shown(signed_in: Client) -> None:
    signed_in.post("/keys/-/add/", {"name": "payments", "private_key": ""})
    made = Credential.objects.get()
    assert made.public_key.encode() in signed_in.get("/keys/").content


def test_a_pasted_key_that_is_none_is_refused_and_not_sent_back(signed_in: Client) -> None:
    response = signed_in.post("/keys/-/add/", {"name": "payments", "private_key": "not a key"})
    assert response.status_code == 200
    assert b"not a key" not in response.content
    assert b"field-error" in response.content
    assert not Credential.objects.exists()


def test_a_host_key_is_confirmed_only_as_it_was_shown(
    signed_in: Client, world: World, looks: list[int]
) -> None:
    node = world.node(world.group("shop", "cache", nodes=0), "cache-1", seen=False)
    Machine.objects.filter(pk=node.machine_id).update(host_key=HOST_KEY)
    page = signed_in.get(f"/nodes/{node.pk}/").content.decode()
    assert "Is this the machine you mean?" in page
    shown = page.split('name="fingerprint" value="')[1].split('"')[0]
    address = f"/nodes/{node.pk}/host-key/"
    refused = signed_in.post(address, {"fingerprint": "SHA256:another"}, follow=True)
    assert b"is not the one that was shown" in refused.content
    assert looks == []
    signed_in.post(address, {"fingerprint": shown})
    assert Machine.objects.get(pk=node.machine_id).host_key_confirmed_at is not None
    assert looks == [node.pk]


def test_the_node_page_stops_asking_when_the_look_is_back(signed_in: Client, world: World) -> None:
    node = world.node(world.group("shop", "cache", nodes=0), "cache-1", seen=False)
    htmx = {"HX-Request": "true"}
    assert signed_in.get(f"/nodes/{node.pk}/", headers=htmx).status_code == 200
    seen = world.node(node.group, "cache-2")
    response = signed_in.get(f"/nodes/{seen.pk}/?asked=1", headers=htmx)
    assert response.status_code == 286
    assert b"hx-trigger" not in response.content


def test_another_look_can_be_asked_for(signed_in: Client, world: World, looks: list[int]) -> None:
    node = world.node(world.group("shop", "cache", nodes=0), "cache-1")
    response = signed_in.post(f"/nodes/{node.pk}/look/")
    assert looks == [node.pk]
    assert b"A worker looks at the machine" in signed_in.get(response["Location"]).content


def test_a_look_that_reaches_no_worker_is_said_so(
    signed_in: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kombu.exceptions import OperationalError

    from instances import tasks

    def away(_: int) -> None:
        raise OperationalError

    monkeypatch.setattr(tasks.node_look, "delay", away)
    node = world.node(world.group("shop", "cache", nodes=0), "cache-1")
    response = signed_in.post(f"/nodes/{node.pk}/look/", follow=True)
    assert b"the broker does not answer" in response.content
    assert b"every 2s" not in response.content
