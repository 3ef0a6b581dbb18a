"""Never green for what was not observed."""

from django.test import Client
from django.utils import timezone

from addons.health import Counts
from addons.models import Installation, NodeInstallation
from panel.pages.state import row_shown
from tests.pages.world import VERIFIED, WRONG, World, condition


def kind(*conditions: dict[str, object], observed: bool = True, seen: int = 1) -> str:
    row = NodeInstallation(
        conditions=list(conditions),
        observed_at=timezone.now() if observed else None,
        observed_generation=seen,
    )
    return row_shown(row, Installation(generation=1)).kind


def test_a_verified_condition_is_ok_and_nothing_else_is() -> None:
    assert kind(VERIFIED) == "ok"
    assert kind(WRONG) == "bad"
    assert kind(VERIFIED, WRONG) == "bad"
    assert kind(VERIFIED, condition("unknown", "NoAnswer", "")) == "unknown"
    assert kind() == "unknown"
    assert kind(VERIFIED, observed=False) == "unknown"
    assert kind(VERIFIED, seen=0) == "unknown"


def test_a_reason_is_shown_in_words() -> None:
    row = NodeInstallation(conditions=[WRONG], observed_at=timezone.now())
    shown = row_shown(row, Installation(generation=0))
    assert (shown.word, shown.why) == ("Chain invalid", WRONG["message"])


def test_a_card_is_green_only_when_each_node_was_seen(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache", nodes=3)
    world.installed(group, VERIFIED, VERIFIED)
    address = "/environments/shop/cache/addons/"
    card = signed_in.get(address).context["cards"][0]
    assert (card.shown.kind, card.shown.word) == ("unknown", "On, 1 node not observed")
    row = NodeInstallation.objects.first()
    assert row
    NodeInstallation.objects.create(
        installation=row.installation,
        node=group.nodes.get(name="cache-3"),
        conditions=[VERIFIED],
        health="ok",
        observed_at=timezone.now(),
        observed_generation=1,
        observed=row.observed,
    )
    response = signed_in.get(address)
    assert response.context["cards"][0].shown.word == "On, verified"
    text = response.content.decode()
    assert "TLSv1.3, verified" in text
    assert "9C:41:…:7E" in text
    assert "364 d" in text


def test_the_dashboard_counts_what_was_verified_and_no_more(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache", nodes=4), VERIFIED, WRONG, None)
    context = signed_in.get("/").context
    assert context["counts"] == Counts(installed=3, verified=1, bad=1)
    assert context["there"].nodes == 4
    assert context["environments"][0].shown.kind == "bad"


def test_what_is_in_plaintext_as_wanted_is_not_counted_as_encrypted(
    signed_in: Client, world: World
) -> None:
    """As a Sentinel, while its servers keep their plain port: it shows no certificate."""
    group = world.group("shop", "cache", nodes=3)
    world.installed(group, VERIFIED, VERIFIED, VERIFIED).nodes.filter(node__name="cache-3").update(
        not_after=None
    )

    home = signed_in.get("/")
    assert home.context["counts"].encrypted == 2
    assert home.context["environments"][0].shown.word == "1 node without TLS"
    line, _ = signed_in.get("/environments/shop/").context["groups"][0]
    assert line.shown.word == "1 of 3 in plaintext, as wanted"
    assert line.shown.kind == "wait"


def test_an_environment_is_green_only_when_each_node_was_seen(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    assert signed_in.get("/environments/").context["lines"][0].shown.word == "Encrypted"
    world.group("shop", "queue", nodes=3)
    assert signed_in.get("/environments/").context["lines"][0].shown.word == "3 nodes without TLS"


def test_what_needs_a_person_comes_first_with_one_button_each(
    signed_in: Client, world: World
) -> None:
    world.everything()
    matters = signed_in.get("/").context["attention"].matters
    buttons = {matter.button for matter in matters}
    assert buttons == {
        *("See what happened", "Review", "Compare", "Test again", "Open", "Repair"),
        "See the topology",
    }
    kinds = [matter.shown.kind for matter in matters]
    assert kinds == sorted(kinds, key=["bad", "wait", "unknown"].index)
