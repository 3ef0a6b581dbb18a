"""Windows and renewals from a terminal."""

from datetime import timedelta

import pytest
from django.utils import timezone

from addons.models import Installation
from instances.audit import Actor
from instances.models import Environment
from tests.cli.conftest import Call
from tests.pages.world import SPEC, VERIFIED, World


@pytest.fixture
def shop(ready: None) -> Environment:
    return Environment.objects.create(name="shop")


def test_windows_are_set_listed_and_taken_away(call: Call, shop: Environment) -> None:
    add = ("environment", "window", "add", "shop", "--start", "02:00")
    said = call(*add, "--days", "sat,Sunday", "--hours", "3", "--zone", "Europe/Berlin")
    assert said.status == 0, said.err
    window = shop.windows.get()
    assert said.out == f"Window {window.pk} opens Saturday and Sunday 02:00 Europe/Berlin.\n"
    [row] = call("environment", "window", "list", "shop", "--json").json()
    assert (row["number"], row["start"], row["hours"]) == (window.pk, "02:00", 3)
    assert row["opens"] >= timezone.now().isoformat(timespec="seconds")
    assert "Europe/Berlin" in call("environment", "window", "list", "shop").out
    assert call("environment", "window", "remove", "shop", str(window.pk)).status == 0
    assert "at any time" in call("environment", "window", "list", "shop").out
    assert call("environment", "window", "remove", "shop", "99").status == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--days", "someday"),
        ("--days", "daily", "--zone", "Mars/Base"),
        ("--days", "daily", "--hours", "25"),
    ],
)
def test_a_window_that_cannot_be_is_refused(
    call: Call, shop: Environment, words: tuple[str, ...]
) -> None:
    said = call("environment", "window", "add", "shop", "--start", "02:00", *words)
    assert said.status
    assert said.err
    assert not shop.windows.exists()


def test_the_list_says_when_each_node_is_renewed(call: Call) -> None:
    world = World(Actor(None, "ada", "test"))
    group = world.group("shop", "cache", nodes=1)
    world.installed(group, VERIFIED)
    world.certificate(world.authority(group.environment), group.nodes.get(), 300)
    [row] = call("certificate", "list", "shop", "--of", "nodes", "--json").json()
    due = timezone.now() + timedelta(days=200)
    assert row["renews_at"][:10] == f"{due:%Y-%m-%d}"
    assert row["renewal"].startswith("Renews by itself about ")
    assert row["renewal"] in call("certificate", "list").out
    Installation.objects.update(spec=SPEC | {"renew": "off"})
    assert "Renewal is off" in call("certificate", "list", "shop").out
