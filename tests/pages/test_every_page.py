"""What holds for each page, whatever it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from addons.models import Run
from tests.pages.html import read
from tests.pages.world import BEFORE, BUNDLE, PASSPHRASE, PASSWORD, World

POSTS = {
    "node-look": [1],
    "archived-restore": ["node", 1],
    "node-confirm-host-key": [1],
    "run-confirm": [1],
    "run-discard": [1],
    "run-stop": [1],
    "run-retry": [1],
    "run-repeat": [1],
    "bundle-confirm": [BUNDLE],
    "bundle-discard": [BUNDLE],
    "bundle-stop": [BUNDLE],
    "bundle-repeat": [BUNDLE],
    "run-resolve": [1],
    "group-host-keys-confirm": ["shop", "cache"],
    "group-look": ["shop", "cache"],
    "group-act": ["shop", "cache", "encryption", "uninstall"],
}


def test_every_page_opens_for_ada_and_leads_eve_to_sign_in(
    world: World, signed_in: Client, eve: Client
) -> None:
    for name, address in world.everything().items():
        assert signed_in.get(address).status_code == 200, name
        response = eve.get(address)
        assert response.status_code == 302, name
        assert response["Location"].startswith(reverse("account_login")), name


@dataclass(frozen=True, slots=True)
class Opened:
    """Every page as Ada saw it, and what stands on none."""

    responses: Mapping[str, HttpResponse]
    secrets: Sequence[str]


_OPENED: list[Opened] = []


@pytest.fixture
def opened(world: World, signed_in: Client) -> Opened:
    """Open every page, once a test process: what is asked of them changes nothing."""
    if not _OPENED:
        addresses = world.everything()
        world.credential.refresh_from_db()
        key = world.credential.private_key.reveal().splitlines()[1:-1]
        assert key
        _OPENED.append(
            Opened(
                responses={name: signed_in.get(address) for name, address in addresses.items()},
                secrets=[PASSWORD, PASSPHRASE, BEFORE, "PRIVATE KEY", *key],
            )
        )
    return _OPENED[0]


def test_no_page_has_an_inline_script_style_or_handler(opened: Opened) -> None:
    for name, response in opened.responses.items():
        page = read(response.content)
        assert page.script_text == "", name
        for element in page.elements:
            assert element.tag != "style", name
            assert "style" not in element.attrs, (name, element)
            assert not [key for key in element.attrs if key.startswith(("on", "hx-on"))], name
        policy = response["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy


def test_no_page_asks_another_host(opened: Opened) -> None:
    for name, response in opened.responses.items():
        for element in read(response.content).elements:
            for key in ("src", "href", "action"):
                value = element.attrs.get(key) or ""
                assert not value.startswith(("http:", "https:", "//")), (name, value)


def test_ids_are_unique_and_every_field_has_a_label(opened: Opened) -> None:
    for name, response in opened.responses.items():
        page = read(response.content)
        assert len(page.ids) == len(set(page.ids)), name
        labelled = {e.attrs.get("for") for e in page.elements if e.tag == "label"}
        for element in page.elements:
            visible = element.attrs.get("type") not in {"hidden", "checkbox", "submit"}
            if element.tag in {"input", "select", "textarea"} and visible:
                assert element.attrs.get("id") in labelled, (name, element)
        assert sum(element.tag == "h1" for element in page.elements) == 1, name


def test_no_page_shows_a_secret(opened: Opened) -> None:
    for name, response in opened.responses.items():
        text = response.content.decode()
        for secret in opened.secrets:
            assert secret not in text, name


def test_what_changes_something_is_done_by_post_only(world: World, signed_in: Client) -> None:
    world.run(world.group("shop", "cache"), Run.State.PREVIEWED)
    for name, arguments in POSTS.items():
        assert signed_in.get(reverse(name, args=arguments)).status_code == 405, name


@pytest.mark.parametrize("name", POSTS)
def test_eve_changes_nothing(name: str, world: World, eve: Client) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.PREVIEWED, bundle=BUNDLE)
    assert eve.post(reverse(name, args=POSTS[name])).status_code == 302
    run.refresh_from_db()
    assert run.state == Run.State.PREVIEWED


def test_a_form_without_its_token_is_refused_in_words(ada: object) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(ada)  # type: ignore[arg-type]
    response = careful.post(reverse("environment-add"), {"name": "shop"})
    assert response.status_code == 403
    assert b"Nothing was changed" in response.content


def test_a_page_that_is_not_there_says_so(signed_in: Client, eve: Client) -> None:
    for client in (signed_in, eve):
        response = client.get("/nothing-here/")
        assert response.status_code == 404
        assert b"There is nothing at this address" in response.content


def test_a_broken_page_says_so_without_a_database(rf: object) -> None:
    from django.views.defaults import server_error

    response = server_error(rf.get("/"))  # type: ignore[attr-defined]
    assert response.status_code == 500
    assert b"defect of Redoubt" in response.content
    assert "style=" not in response.content.decode()


def test_polling_after_the_session_has_ended_reloads_the_page(world: World, eve: Client) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.RUNNING)
    response = eve.get(run.get_absolute_url(), headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert response.content == b""
