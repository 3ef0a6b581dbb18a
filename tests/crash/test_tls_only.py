"""A worker killed on the way to TLS alone, and on the way back: one or the other, never neither."""

import pytest

from addons.authorities import issuing_authority
from addons.models import MachineLock, Run
from addons.runs.drive import run_drive
from tests.crash.conftest import TestNode
from tests.crash.killing import drive_until
from tests.crash.node_state import closed, tls_ping
from tests.crash.test_kill import boundaries, install, take_over, uninstall

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

LIVE = boundaries(("runtime", "configuration", "leftover"))
RESTART = boundaries(("configuration", "restart"))
CASES = [
    *(("live-1", event, step) for event, step in LIVE),
    *(("restart-1", event, step) for event, step in RESTART),
]
SAME, APART = 6379, 6380
WAYS = {
    "on its own port": ({}, {"plaintext": "off"}),
    "on the plain one's": ({}, {"plaintext": "off", "tls_port": str(SAME)}),
    "back from its own": ({"plaintext": "off"}, {"plaintext": "keep"}),
    "back from the plain one's": (
        {"plaintext": "off", "tls_port": str(SAME)},
        {"plaintext": "keep", "tls_port": str(APART)},
    ),
}
USUAL = {
    ("on the plain one's", "live-1", "applied", "runtime"),
    ("on the plain one's", "live-1", "before", "leftover"),
    ("on the plain one's", "restart-1", "applied", "configuration"),
    ("back from the plain one's", "live-1", "applied", "runtime"),
}
EVERYWHERE = [
    pytest.param(way, *case, marks=[] if (way, *case) in USUAL else [pytest.mark.long])
    for way in WAYS
    for case in CASES
    if case[2] != "leftover" or not way.startswith("back")
]
PUT_BACK = [
    pytest.param(way, name, step, marks=[] if way == "on the plain one's" else [pytest.mark.long])
    for way in WAYS
    for name, step in [("live-1", "configuration"), ("restart-1", "restart")]
]


def led(node: TestNode, settings: dict[str, str]) -> None:
    run = node.ask("configure", **settings)
    run_drive(run=run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.SUCCEEDED, run.failure


def speaks_tls(node: TestNode, port: int) -> bool:
    authority = issuing_authority(node.node.group.environment)
    try:
        return tls_ping(node.host.address, authority.certificate, port) == b"+PONG\r\n"
    except OSError:
        return False


def is_as(node: TestNode, settings: dict[str, str]) -> None:
    """The node is exactly as these settings want it."""
    port = int(settings.get("tls_port", APART))
    assert speaks_tls(node, port)
    assert node.state().serves is (settings.get("plaintext") != "off")
    others = {SAME, APART} - {port}
    if settings.get("plaintext") == "off":
        assert all(closed(node.host.address, other) for other in others)
    assert not MachineLock.objects.exists()


def reached(node: TestNode) -> bool:
    """Somebody can still talk to the server, one way or the other."""
    return node.state().serves or speaks_tls(node, SAME) or speaks_tls(node, APART)


@pytest.mark.parametrize(("way", "name", "event", "step"), EVERYWHERE)
def test_a_change_of_ports_killed_anywhere_is_finished(
    nodes: dict[str, TestNode], way: str, name: str, event: str, step: str
) -> None:
    node, (first, then) = nodes[name], WAYS[way]
    before = node.state()
    install(node)
    if first:
        led(node, first)
    run = node.ask("configure", **then)
    assert drive_until(run.pk, event, step), "the worker did not reach the boundary"
    assert reached(node)
    take_over(run)
    assert run.state == Run.State.SUCCEEDED, run.failure
    is_as(node, then)
    gone = uninstall(node)
    assert gone.state == Run.State.SUCCEEDED, gone.failure
    assert node.state() == before, node.state().lines_unlike(before)


@pytest.mark.parametrize(("way", "name", "step"), PUT_BACK)
def test_a_change_of_ports_that_fails_and_is_killed_on_the_way_back_is_put_back(
    nodes: dict[str, TestNode], way: str, name: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, (first, then) = nodes[name], WAYS[way]
    before = node.state()
    install(node)
    if first:
        led(node, first)
    run = node.ask("configure", **then)
    monkeypatch.setattr("addons.encryption.plan.verify", _fails)
    assert drive_until(run.pk, "undone", step), "the worker did not reach the boundary"
    monkeypatch.undo()
    assert reached(node)
    take_over(run)
    assert run.state == Run.State.PUT_BACK, run.failure
    is_as(node, first)
    gone = uninstall(node)
    assert gone.state == Run.State.SUCCEEDED, gone.failure
    assert node.state() == before, node.state().lines_unlike(before)


def _fails(*_args: object, **_named: object) -> None:
    raise TimeoutError("injected")
