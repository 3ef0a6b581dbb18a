"""Search finds what a person has at hand: a name, an address, a fingerprint, a number."""

import pytest
from django.test import Client

from addons.models import Run
from instances.models import Node
from tests.pages.html import read
from tests.pages.test_node import certificate_for
from tests.pages.world import World


def found(client: Client, text: str) -> dict[str, list[str]]:
    """Return the titles of what was found, by kind."""
    response = client.get("/search/", {"q": text})
    assert response.status_code == 200
    return {each.kind: [hit.title for hit in each.hits] for each in response.context["found"]}


@pytest.fixture(autouse=True)
def fleet(world: World) -> None:
    world.group("shop", "cache")
    world.group("bank", "ledger", nodes=1)


def test_environments_groups_and_nodes_are_found_by_name(signed_in: Client) -> None:
    assert found(signed_in, "bank")["Environments"] == ["bank"]
    assert found(signed_in, "CACH")["Node groups"] == ["cache"]
    assert found(signed_in, "cache-2") == {"Nodes": ["cache-2"]}
    assert found(signed_in, "ledger") == {"Node groups": ["ledger"], "Nodes": ["ledger-1"]}


def test_each_word_narrows(signed_in: Client) -> None:
    assert found(signed_in, "shop cache")["Node groups"] == ["cache"]
    assert found(signed_in, "bank cache") == {}


def test_a_node_is_found_by_its_address_and_by_what_clients_call_it(signed_in: Client) -> None:
    Node.objects.filter(name="ledger-1").update(client_addresses=["10.9.8.7", "money.bank.example"])
    assert found(signed_in, "10.9.8")["Nodes"] == ["ledger-1"]
    assert found(signed_in, "money")["Nodes"] == ["ledger-1"]
    assert found(signed_in, "ledger-1.bank.example")["Nodes"] == ["ledger-1"]


@pytest.mark.parametrize("text", ["5fa290", "5F:A2:90", "5fa290ab", "cache.shop.example"])
def test_a_certificate_is_found_by_serial_fingerprint_or_name(signed_in: Client, text: str) -> None:
    node = Node.objects.get(name="cache-1")
    certificate_for(node)
    response = signed_in.get("/search/", {"q": text})
    assert f"/nodes/{node.pk}/#certificates".encode() in response.content


@pytest.mark.parametrize("pattern", ["{}", "#{}", "run {}", "Run#{}"])
def test_a_run_is_found_by_its_number(signed_in: Client, world: World, pattern: str) -> None:
    run = world.run(world.group("shop", "queue"), Run.State.SUCCEEDED)
    assert found(signed_in, pattern.format(run.pk))["Runs"] == [f"Run {run.pk}"]


def test_the_list_below_the_field_has_options_with_ids_of_their_own(signed_in: Client) -> None:
    response = signed_in.get("/search/", {"q": "c"}, headers={"HX-Request": "true"})
    page = read(response.content)
    options = [each for each in page.elements if each.attrs.get("role") == "option"]
    assert len(options) >= 3
    assert len(page.ids) == len(set(page.ids))
    assert not [each for each in page.elements if each.tag == "html"]
    assert "HX-Request" in response["Vary"]


def test_nothing_is_shown_for_nothing_and_said_where_nothing_was_found(signed_in: Client) -> None:
    htmx = {"HX-Request": "true"}
    assert signed_in.get("/search/?q=", headers=htmx).content.strip() == b""
    none = signed_in.get("/search/?q=<b>zzz", headers=htmx).content
    assert "Nothing has “&lt;b&gt;zzz” in it".encode() in none


def test_what_is_more_than_fits_is_said(signed_in: Client, world: World) -> None:
    group = world.group("shop", "many", nodes=0)
    for number in range(26):
        world.node(group, f"worker-{number}", seen=False)
    assert b"There are more" in signed_in.get("/search/?q=worker").content


def test_every_page_has_the_field_and_visitors_have_none(signed_in: Client, eve: Client) -> None:
    assert b"data-search" in signed_in.get("/").content
    assert b"data-search" not in eve.get("/account/login/").content
