"""``manage.py addon verify`` and ``repair``: what they print, and how they end."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from addons.models import NodeInstallation, Run
from addons.watch import services
from addons.watch.look import Look
from addons.watch.results import look_store
from instances.audit import Actor
from panel.management import verifying, waiting
from panel.management.commands import addon as addon_command
from tests.cli.conftest import Call
from tests.pages.world import VERIFIED, World
from tests.watch.conftest import DRIFTED, IN_STEP, SILENT

VERIFY = ("addon", "verify", "shop", "cache", "encryption")
Workers = Callable[..., None]


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers, and nobody who waits."""
    monkeypatch.setattr(addon_command, "require_worker", lambda: None)
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(verifying, "SECONDS", 0.05)


@pytest.fixture
def workers(ready: None, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """A group of two with the add-on on it, and what workers find on each node."""
    world = World(Actor(None, "ada", "test"))
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)

    def find(*looks: Look | None) -> None:
        def ask(rows: Any, now: Any) -> None:
            found = NodeInstallation.objects.select_related("node", "installation")
            for row, look in zip(found.filter(pk__in=rows).order_by("pk"), looks, strict=True):
                if look:
                    at = timezone.now()
                    assert look_store(row=row, look=look, began=at, now=at)

        monkeypatch.setattr(services, "observe_ask", ask)

    return find


def test_nodes_that_are_as_wanted_end_well(call: Call, workers: Workers) -> None:
    workers(IN_STEP, IN_STEP)
    said = call(*VERIFY)
    assert said.status == 0
    assert said.out.splitlines()[0] == "cache-1  Verified"
    assert "TLSv1.3, PONG in 1.0 ms" in said.out


def test_drift_is_printed_and_fails(call: Call, workers: Workers) -> None:
    workers(DRIFTED, IN_STEP)
    said = call(*VERIFY)
    assert said.status == 1
    assert "cache-1  Drift" in said.out
    assert "- tls-port 6390" in said.out
    assert "+ tls-port 6380" in said.out


def test_drift_for_programs(call: Call, workers: Workers) -> None:
    workers(DRIFTED, SILENT)
    said = call(*VERIFY, "--json")
    first, second = said.json()["nodes"]
    assert said.status == 1
    assert (first["name"], first["status"], first["reason"]) == ("cache-1", "false", "Drift")
    assert first["drift"][0]["place"] == "/etc/redis/redis.conf"
    assert (second["status"], second["reason"], second["drift"]) == ("unknown", "NoRoute", [])


def test_a_node_out_of_reach_is_unknown_and_fails(call: Call, workers: Workers) -> None:
    workers(IN_STEP, SILENT)
    said = call(*VERIFY)
    assert said.status == 1
    assert "cache-2  No route" in said.out
    assert "last observed: " in said.out


def test_a_worker_that_does_not_come_is_not_taken_for_good_news(
    call: Call, workers: Workers
) -> None:
    workers(IN_STEP, None)
    said = call(*VERIFY)
    assert said.status == 1
    assert "cache-2  Verified (not looked at in time)" in said.out


def test_a_repair_is_an_install_with_the_settings_in_force(
    call: Call, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def carried_out(pk: int, **_more: Any) -> Run:
        Run.objects.filter(pk=pk).update(state=Run.State.SUCCEEDED)
        return Run.objects.select_related("installation__group__environment").get(pk=pk)

    monkeypatch.setattr(addon_command, "run_follow", carried_out)
    said = call("addon", "repair", "shop", "cache", "encryption", "--yes", "--json")
    assert said.status == 0
    run = Run.objects.get()
    assert (run.action, run.spec["networks"]) == ("install", ["10.0.0.0/8"])


def test_what_is_not_installed_is_neither_verified_nor_repaired(
    call: Call, workers: Workers
) -> None:
    type(NodeInstallation.objects.all()[0].installation).objects.update(generation=0)
    for verb in ("verify", "repair"):
        said = call("addon", verb, "shop", "cache", "encryption", *(["--yes"] * (verb == "repair")))
        assert said.status == 1
        assert "is not installed on shop / cache" in said.err
    assert not Run.objects.exists()
    assert call("addon", "verify", "shop", "cache", "nothing").status == 1
