"""The add-ons that there are, and the dialog that puts one on node groups."""

import pytest
from django.test import Client

from addons.models import Run
from instances.models import AuditEvent
from instances.services import environment_create
from tests.pages.html import read
from tests.pages.world import VERIFIED, WRONG, World

DIALOG = "/addons/encryption/install/"
SHOP = f"{DIALOG}?environment=shop"


def defaults(signed_in: Client) -> dict[str, str]:
    form = signed_in.get(SHOP).context["form"]
    return {name: str(form[name].value() or "") for name in form.fields}


def test_each_add_on_says_what_it_does_what_it_needs_and_where_it_is(
    signed_in: Client, world: World
) -> None:
    text = signed_in.get("/addons/").content.decode()
    assert "Encryption in transit" in text
    assert "built with TLS" in text
    assert "On no node group yet" in text
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    world.installed(world.group("shop", "queue"), VERIFIED, WRONG)
    text = signed_in.get("/addons/").content.decode()
    assert '<a href="/addons/encryption/">On 2 node groups</a>' in text
    assert f'href="{DIALOG}"' in text


def test_the_groups_that_have_an_add_on_are_listed_with_their_state(
    signed_in: Client, world: World
) -> None:
    assert b"On no node group yet" in signed_in.get("/addons/encryption/").content
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    world.installed(world.group("shop", "queue", nodes=3), VERIFIED, VERIFIED)
    world.group("shop", "plain")
    response = signed_in.get("/addons/encryption/")
    states = {place.group.name: place.shown.word for place in response.context["places"]}
    assert states == {"cache": "Installed, verified", "queue": "Installed, 1 of 3 not observed"}


def test_an_add_on_that_does_not_exist_is_not_found(signed_in: Client, world: World) -> None:
    for address in ("/addons/magic/", "/addons/magic/install/?environment=shop"):
        assert signed_in.get(address).status_code == 404


def test_without_any_environment_the_dialog_leads_to_making_one(signed_in: Client) -> None:
    assert b"Make an environment" in signed_in.get(DIALOG).content


def test_where_there_is_one_environment_with_one_group_both_are_chosen(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    response = signed_in.get(DIALOG)
    assert response.context["environment"].name == "shop"
    assert response.context["ticked"] == ["cache"]


def test_among_several_environments_one_is_asked_for_first(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    world.group("bank", "ledger")
    response = signed_in.get(DIALOG)
    assert "environment" not in response.context
    assert [*response.context["names"]] == ["bank", "shop"]
    response = signed_in.get(f"{DIALOG}?environment=bank")
    assert [place.group.name for place in response.context["places"]] == ["ledger"]


def test_an_environment_that_does_not_exist_is_said_at_its_field(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    response = signed_in.get(f"{DIALOG}?environment=nowhere")
    assert b"There is no environment of that name." in response.content
    field = next(e for e in read(response.content).elements if e.attrs.get("name") == "environment")
    assert field.attrs["aria-describedby"] == "environment-error"


def test_environments_are_suggested_by_what_is_typed(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    world.group("bank", "ledger")
    text = signed_in.get("/addons/-/environments/?environment=an").content.decode()
    assert 'value="bank"' in text
    assert "shop" not in text


def test_an_environment_without_groups_leads_to_making_one(signed_in: Client, world: World) -> None:
    environment_create(actor=world.actor, name="empty", region="")
    response = signed_in.get(f"{DIALOG}?environment=empty")
    assert b"has no node groups yet" in response.content
    assert b"/environments/empty/-/add/" in response.content


def test_each_group_shows_its_size_its_state_and_whether_it_has_the_add_on(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    world.run(world.group("shop", "queue", nodes=3), Run.State.RUNNING)
    world.group("shop", "void", nodes=0)
    response = signed_in.get(SHOP)
    words = {
        each.group.name: (each.size, each.shown.word, each.at_work)
        for each in response.context["places"]
    }
    assert words == {
        "cache": (2, "Installed, verified", False),
        "queue": (3, "Not installed", True),
        "void": (0, "No nodes yet", False),
    }
    text = response.content.decode()
    assert text.count("It has this add-on already") == 1
    assert text.count("A run is under way on it") == 1
    boxes = {
        element.attrs["value"]: "disabled" in element.attrs
        for element in read(response.content).elements
        if element.attrs.get("name") == "groups"
    }
    assert boxes == {"cache": False, "queue": False, "void": True}


def test_several_groups_get_a_run_each_that_share_a_bundle(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    world.group("shop", "queue")
    world.group("shop", "other")
    asked = {**defaults(signed_in), "tls_port": "6390", "groups": ["cache", "queue"]}
    response = signed_in.post(SHOP, asked)
    runs = list(Run.objects.select_related("installation__group"))
    assert {run.installation.group.name for run in runs} == {"cache", "queue"}
    assert len({run.bundle for run in runs}) == 1
    assert response["Location"] == f"/runs/together/{runs[0].bundle}/"
    assert {(run.state, run.spec["tls_port"]) for run in runs} == {(Run.State.PREVIEWING, 6390)}
    assert AuditEvent.objects.filter(verb="run.preview", actor_name="ada").count() == 2


def test_one_group_gets_a_run_without_a_bundle(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    response = signed_in.post(SHOP, {**defaults(signed_in), "groups": "cache"})
    run = Run.objects.get()
    assert run.bundle is None
    assert response["Location"] == run.get_absolute_url()


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ([], "Choose at least one node group."),
        (["elsewhere"], "There is no node group “elsewhere” here any more."),
    ],
)
def test_a_choice_that_cannot_be_is_said_at_the_groups_and_keeps_the_settings(
    groups: list[str], says: str, signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    world.group("bank", "elsewhere")
    asked = {**defaults(signed_in), "tls_port": "7123", "groups": groups}
    text = signed_in.post(SHOP, asked).content.decode()
    assert says in text
    assert 'value="7123"' in text
    assert not Run.objects.exists()


def test_a_group_without_nodes_leaves_no_run_on_the_others_either(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    world.group("shop", "void", nodes=0)
    asked = {**defaults(signed_in), "groups": ["cache", "void"]}
    assert b"shop / void has no nodes." in signed_in.post(SHOP, asked).content
    assert not Run.objects.exists()
