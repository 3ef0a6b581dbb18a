"""A node's page: what is stated, what was changed, and the way out of a changed host key."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from addons.models import Authority, Certificate, Run
from addons.pki.policy import renewal_due
from instances.models import AuditEvent, Machine, Node
from tests.pages.world import BEFORE, HOST_KEY, PASSWORD, VERIFIED, World

STATED = {
    "name": "cache-1",
    "client_addresses": "10.0.0.9, cache.shop.example",
    "server_username": "",
    "server_password": "",
    "unit": "redis@6380.service",
    "config_path": "/etc/redis/6380.conf",
}


@pytest.fixture
def node(world: World) -> Node:
    return world.group("shop", "cache", nodes=1).nodes.get()


def test_what_is_stated_of_a_node_is_changed_and_looked_at(
    signed_in: Client, node: Node, looks: list[int]
) -> None:
    response = signed_in.post(f"/nodes/{node.pk}/edit/", STATED)
    assert response["Location"].startswith(f"/nodes/{node.pk}/?asked=")
    node.refresh_from_db()
    assert node.client_addresses == ["10.0.0.9", "cache.shop.example"]
    assert (node.unit, node.config_path) == ("redis@6380.service", "/etc/redis/6380.conf")
    assert looks == [node.pk]
    event = AuditEvent.objects.get(verb="node.update")
    assert event.detail == {"fields": ["client_addresses", "config_path", "unit"]}


def test_an_empty_password_keeps_the_stored_one_and_no_page_shows_it(
    signed_in: Client, node: Node, looks: list[int]
) -> None:
    page = signed_in.get(f"/nodes/{node.pk}/edit/").content.decode()
    assert PASSWORD not in page
    assert "Forget the stored password" in page
    signed_in.post(f"/nodes/{node.pk}/edit/", STATED)
    node.refresh_from_db()
    assert node.server_password.reveal() == PASSWORD


def test_a_password_is_replaced_or_forgotten(
    signed_in: Client, node: Node, looks: list[int]
) -> None:
    signed_in.post(f"/nodes/{node.pk}/edit/", {**STATED, "server_password": "another-one"})
    assert Node.objects.get().server_password.reveal() == "another-one"
    signed_in.post(f"/nodes/{node.pk}/edit/", {**STATED, "forget_password": "on"})
    assert not Node.objects.get().server_password
    assert "another-one" not in str(AuditEvent.objects.values_list("detail", flat=True))


def test_a_mistake_is_said_at_its_field_and_nothing_is_changed(
    signed_in: Client, node: Node, looks: list[int]
) -> None:
    response = signed_in.post(f"/nodes/{node.pk}/edit/", {**STATED, "name": "No good"})
    assert b"id_name-error" in response.content
    assert b"redis@6380.service" in response.content
    assert Node.objects.get().name == "cache-1"
    assert looks == []


def test_editing_leaves_alone_what_a_look_has_written_meanwhile(world: World, node: Node) -> None:
    from instances.services import node_update

    Node.objects.filter(pk=node.pk).update(fault={"reason": "X", "message": "x"})
    node_update(actor=world.actor, node=node, changes={"unit": "redis.service"})
    assert Node.objects.get().fault == {"reason": "X", "message": "x"}


def test_the_named_cause_and_the_next_step_of_a_failed_look_are_shown(
    signed_in: Client, node: Node
) -> None:
    fault = {"reason": "SudoRefused", "message": "sudo wants a password", "next_step": "Allow it."}
    Node.objects.filter(pk=node.pk).update(fault=fault)
    page = signed_in.get(f"/nodes/{node.pk}/").content.decode()
    for words in ("Sudo refused", "sudo wants a password", "Allow it.", "Test connection"):
        assert words in page
    assert "forget the old key" not in page


@pytest.mark.parametrize("reason", ["HostKeyChanged", "HostKeyDiffers"])
def test_a_changed_host_key_is_forgotten_only_after_a_question(
    reason: str, signed_in: Client, node: Node, looks: list[int]
) -> None:
    Node.objects.filter(pk=node.pk).update(fault={"reason": reason, "message": "another key"})
    address = f"/nodes/{node.pk}/host-key/forget/"
    assert address in signed_in.get(f"/nodes/{node.pk}/").content.decode()
    assert b"Do this only if you know why" in signed_in.get(address).content
    assert Machine.objects.get().host_key == HOST_KEY
    signed_in.post(address)
    machine = Machine.objects.get()
    assert (machine.host_key, machine.host_key_confirmed_at) == ("", None)
    assert looks == [node.pk]


def test_what_redoubt_has_changed_is_listed_until_it_is_put_back(
    signed_in: Client, world: World, node: Node
) -> None:
    run = world.run(node.group, Run.State.SUCCEEDED)
    installation = world.installed(node.group, VERIFIED)
    row = installation.nodes.get()
    row.baseline = {"configuration": [{"run": run.pk, "state": {"line": BEFORE}}]}
    row.save()
    world.record(run, node, "configuration", "applied", "redis.conf: 6 lines added")
    page = signed_in.get(f"/nodes/{node.pk}/").content.decode()
    assert "redis.conf: 6 lines added" in page
    assert BEFORE not in page
    later = world.run(node.group, Run.State.SUCCEEDED, action="reissue")
    world.record(later, node, "configuration", "applied", "said by a later run")
    failed = world.run(node.group, Run.State.PUT_BACK, action="reissue")
    world.record(failed, node, "configuration", "applied", "said by a run that was put back")
    page = signed_in.get(f"/nodes/{node.pk}/").content.decode()
    assert "said by a later run" in page
    assert "said by a run that was put back" not in page
    row.delete()
    assert b"it is as it was found" in signed_in.get(f"/nodes/{node.pk}/").content


def test_the_certificates_of_a_node_are_on_its_page(signed_in: Client, node: Node) -> None:
    certificate_for(node)
    page = signed_in.get(f"/nodes/{node.pk}/").content.decode()
    assert "5F:A2" in page
    assert "shop authority" in page


def certificate_for(node: Node) -> Certificate:
    times = {
        "not_before": timezone.now() - timedelta(days=1),
        "not_after": timezone.now() + timedelta(days=364),
    }
    authority = Authority.objects.create(
        name="shop authority", certificate="", private_key="", key_type="ec-p256", **times
    )
    return Certificate.objects.create(
        authority=authority,
        node=node,
        purpose="server",
        state=Certificate.State.SERVING,
        serial="5fa290",
        subject=node.name,
        names=["cache.shop.example"],
        fingerprint="5F:A2:90:" + "AB:" * 28 + "7E",
        renew_at=renewal_due(**times),
        **times,
    )
