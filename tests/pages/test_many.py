"""Many nodes at once: read, shown, registered together, their host keys compared together."""

import pytest
from django.test import Client
from django.utils import timezone

from instances.models import AuditEvent, Credential, Machine, Node
from instances.remote.host_key import fingerprint
from tests.pages.html import read
from tests.pages.world import HOST_KEY, World

ADD = "/environments/shop/cache/nodes/add-many/"
KEYS = "/environments/shop/cache/host-keys/"
EXPECTED = "SHA256:" + "a" * 43
LIST = f"10.0.0.1 cache-1 {EXPECTED}\n10.0.0.2 cache-2\n10.0.0.3\n"
FORM = {
    "step": "check",
    "text": LIST,
    "only": "",
    "known_hosts": "",
    "user": "deploy",
    "ssh_port": "22",
    "credential": "default",
    "new_key_name": "",
}


@pytest.fixture(autouse=True)
def group(world: World, looks: list[int]) -> None:
    world.group("shop", "cache", nodes=0)


def post(client: Client, **more: str) -> str:
    response = client.post(ADD, {**FORM, **more})
    assert response.status_code == 200
    return response.content.decode()


def test_a_list_is_shown_before_anything_is_stored(signed_in: Client) -> None:
    page = post(signed_in)
    assert "Add 3 nodes?" in page
    for words in ("cache-1", "deploy@10.0.0.2", "10-0-0-3", EXPECTED, "To be compared"):
        assert words in page
    assert not Node.objects.exists()
    assert not Machine.objects.exists()


def test_what_is_shown_carries_on_what_was_typed_and_no_inline_style(signed_in: Client) -> None:
    page = read(post(signed_in).encode())
    hidden = {e.attrs["name"]: e.attrs.get("value") for e in page.elements if e.tag == "input"}
    assert hidden["text"] == LIST
    assert not [each for each in page.elements if "style" in each.attrs]
    assert len(page.ids) == len(set(page.ids))


def test_a_confirmed_list_is_registered_and_each_node_looked_at(
    signed_in: Client, looks: list[int]
) -> None:
    response = signed_in.post(
        ADD, {**FORM, "step": "add", "server_username": "", "server_password": "hunter2hunter2"}
    )
    assert response["Location"].startswith(f"{KEYS}?asked=")
    nodes = list(Node.objects.order_by("name"))
    assert [node.name for node in nodes] == ["10-0-0-3", "cache-1", "cache-2"]
    assert sorted(looks) == sorted(node.pk for node in nodes)
    assert {node.server_password.reveal() for node in nodes} == {"hunter2hunter2"}
    assert nodes[1].machine.expected_fingerprint == EXPECTED
    assert {node.machine.user for node in nodes} == {"deploy"}
    assert AuditEvent.objects.filter(verb="node.register").count() == 3


def test_mistakes_stand_at_their_lines_and_nothing_is_lost_or_stored(signed_in: Client) -> None:
    text = "10.0.0.1 cache-1\n10.0.0.300\n10.0.0.3 Bad_Name\n"
    page = post(signed_in, text=text, step="add")
    assert "is neither a name nor an IP address" in page
    assert "2 lines need a change" in page
    assert "10.0.0.3 Bad_Name" in page
    assert '<td class="num">3</td>' in page
    assert not Node.objects.exists()


def test_what_is_registered_already_is_named(signed_in: Client, world: World) -> None:
    signed_in.post(ADD, {**FORM, "step": "add", "text": "10.0.0.1 cache-1\n"})
    page = post(signed_in, text="10.0.0.1 other\n10.0.0.9 cache-1\n10.0.0.10\n10-0-0-10 \n")
    assert "10.0.0.1 serves cache-1 in shop / cache already" in page
    assert "The name cache-1 is in this group already" in page
    assert "The name 10-0-0-10 stands in line 3 already" in page
    assert Node.objects.count() == 1


def test_a_refusal_of_one_registers_none(signed_in: Client, world: World) -> None:
    signed_in.post(ADD, {**FORM, "step": "add", "text": "10.0.0.2 old\n"})
    csv = "address,name,user,unit\n10.0.0.8,new,,\n10.0.0.2,more,admin,redis@2.service\n"
    page = post(signed_in, text=csv, step="add")
    assert "10.0.0.2: 10.0.0.2 is known already, with the user deploy." in page
    assert [node.name for node in Node.objects.all()] == ["old"]


def test_a_new_key_is_made_with_the_nodes(signed_in: Client) -> None:
    more = {"step": "add", "credential": "+", "new_key_name": "fleet"}
    signed_in.post(ADD, {**FORM, **more})
    assert set(Machine.objects.values_list("credential__name", flat=True)) == {"fleet"}
    assert Credential.objects.count() == 2


def test_keys_in_a_known_hosts_file_are_pinned_and_others_wait(signed_in: Client) -> None:
    known = f"10.0.0.2 {HOST_KEY}\n"
    assert "From known_hosts" in post(signed_in, known_hosts=known)
    signed_in.post(ADD, {**FORM, "step": "add", "known_hosts": known})
    pinned = Machine.objects.exclude(host_key_confirmed_at=None)
    assert [machine.address for machine in pinned] == ["10.0.0.2"]


def test_a_fingerprint_that_the_known_hosts_file_denies_is_a_mistake(signed_in: Client) -> None:
    page = post(signed_in, known_hosts=f"10.0.0.1 {HOST_KEY}\n")
    assert "The known_hosts file has another key" in page


def test_an_ansible_group_is_taken_alone(signed_in: Client) -> None:
    text = "[a]\none ansible_host=10.0.0.1\n[b]\ntwo ansible_host=10.0.0.2 ansible_port=2222\n"
    page = post(signed_in, text=text, only="b")
    assert "an Ansible inventory" in page
    assert "deploy@10.0.0.2 port 2222" in page
    assert "10.0.0.1" not in page.split("What the list says")[1]
    assert "There is no node in the group" in post(signed_in, text=text, only="c")


def test_changing_the_list_brings_the_form_back_as_it_was(signed_in: Client) -> None:
    page = post(signed_in, step="edit")
    assert "10.0.0.2 cache-2" in page
    assert 'value="deploy"' in page
    assert "field-error" not in page


def scanned(client: Client) -> list[Machine]:
    client.post(ADD, {**FORM, "step": "add"})
    Machine.objects.update(host_key=HOST_KEY)
    Node.objects.update(looked_at=timezone.now())
    return list(Machine.objects.order_by("address"))


def test_the_page_of_host_keys_waits_for_the_looks_and_then_stops(signed_in: Client) -> None:
    response = signed_in.post(ADD, {**FORM, "step": "add"})
    page = signed_in.get(response["Location"]).content
    assert b"every 2s" in page
    assert b"not looked at yet" in page
    Machine.objects.update(host_key=HOST_KEY)
    Node.objects.update(looked_at=timezone.now())
    htmx = {"HX-Request": "true"}
    response = signed_in.get(response["Location"], headers=htmx)
    assert response.status_code == 286
    assert response.content.decode().count(fingerprint(HOST_KEY)) >= 3


def test_only_the_ticked_are_confirmed_and_looked_at(signed_in: Client, looks: list[int]) -> None:
    first, second, _ = scanned(signed_in)
    looks.clear()
    assert b"Compare" in signed_in.get("/environments/shop/cache/").content
    ticked = [f"{each.pk} {fingerprint(HOST_KEY)}" for each in (first, second)]
    signed_in.post(f"{KEYS}confirm/", {"take": ticked, "which": "ticked"})
    confirmed = Machine.objects.exclude(host_key_confirmed_at=None).order_by("address")
    assert list(confirmed) == [first, second]
    assert sorted(looks) == sorted(
        Node.objects.filter(machine__in=[first, second]).values_list("pk", flat=True)
    )


def test_all_are_confirmed_with_one_button(signed_in: Client) -> None:
    seen = [f"{each.pk} {fingerprint(HOST_KEY)}" for each in scanned(signed_in)]
    signed_in.post(f"{KEYS}confirm/", {"seen": seen, "which": "all"})
    assert not Machine.objects.filter(host_key_confirmed_at=None).exists()
    assert b"Nothing to compare" in signed_in.get(KEYS).content
    assert AuditEvent.objects.filter(verb="machine.confirm_host_key").count() == 3


def test_a_key_that_changed_meanwhile_or_is_of_another_group_is_not_confirmed(
    signed_in: Client, world: World
) -> None:
    first, *_ = scanned(signed_in)
    elsewhere = world.node(world.group("bank", "ledger", nodes=0), "ledger-1", seen=False).machine
    Machine.objects.filter(pk=elsewhere.pk).update(host_key=HOST_KEY)
    ticked = [f"{first.pk} SHA256:other", f"{elsewhere.pk} {fingerprint(HOST_KEY)}", "nonsense"]
    response = signed_in.post(f"{KEYS}confirm/", {"take": ticked}, follow=True)
    assert b"is not the one that was shown" in response.content
    assert not Machine.objects.exclude(host_key_confirmed_at=None).exists()


def test_nothing_ticked_is_said_so(signed_in: Client) -> None:
    scanned(signed_in)
    response = signed_in.post(f"{KEYS}confirm/", {"which": "ticked"}, follow=True)
    assert b"Tick the machines" in response.content
