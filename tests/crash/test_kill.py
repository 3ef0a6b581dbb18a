"""A worker killed at every step boundary of install and uninstall, live and by a restart."""

import os
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from addons.authorities import issuing_authority
from addons.encryption import guard, restarting
from addons.models import MachineLock, NodeInstallation, Run
from addons.runs.drive import run_drive
from tests.crash.conftest import TestNode
from tests.crash.killing import die, drive_until, in_another_process
from tests.crash.node_state import closed, tls_ping

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

LIVE = ("certificate", "firewall", "runtime", "configuration")
RESTART = ("certificate", "firewall", "configuration", "restart")
SAME = ("certificate", "firewall")
"""What is the same with a restart as without one is not killed twice in each test run."""


def boundaries(steps: tuple[str, ...]) -> list[tuple[str, str]]:
    found = [(event, step) for step in steps for event in ("before", "applied")]
    return [*found, ("verified", ""), ("node_done", "")]


CASES = [
    *(("live-1", event, step) for event, step in boundaries(LIVE)),
    *(
        pytest.param("restart-1", event, step, marks=[pytest.mark.long] if step in SAME else [])
        for event, step in boundaries(RESTART)
    ),
]


def take_over(run: Run) -> None:
    """Let the dead worker's lease run out, and be the next worker."""
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    run_drive(run=run.pk)
    run.refresh_from_db()


def install(node: TestNode) -> None:
    run = node.ask("install")
    run_drive(run=run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.SUCCEEDED, run.failure


def uninstall(node: TestNode) -> Run:
    run = node.ask("uninstall")
    run_drive(run=run.pk)
    run.refresh_from_db()
    return run


def assert_encrypted(node: TestNode) -> None:
    authority = issuing_authority(node.node.group.environment)
    assert tls_ping(node.host.address, authority.certificate) == b"+PONG\r\n"
    assert node.state().serves
    assert not MachineLock.objects.exists()


@pytest.mark.parametrize(("name", "event", "step"), CASES)
def test_an_install_and_an_uninstall_killed_anywhere_are_finished(
    nodes: dict[str, TestNode], name: str, event: str, step: str
) -> None:
    node = nodes[name]
    before = node.state()

    assert_finished_though_killed(node, "install", event, step)
    assert_encrypted(node)

    assert_finished_though_killed(node, "uninstall", event, step)
    after = node.state()
    assert after == before, after.lines_unlike(before)
    assert closed(node.host.address)
    assert not NodeInstallation.objects.exists()


def assert_finished_though_killed(node: TestNode, action: str, event: str, step: str) -> None:
    run = node.ask(action)
    assert drive_until(run.pk, event, step), "the worker did not reach the boundary"
    assert node.state().serves, "the node must serve while nobody drives the run"
    take_over(run)
    assert run.state == Run.State.SUCCEEDED, run.failure
    assert run.attempt == 2


def test_a_guard_left_armed_by_a_killed_worker_is_disarmed(nodes: dict[str, TestNode]) -> None:
    node = nodes["restart-1"]
    before = node.state()
    run = node.ask("install")

    def worker() -> None:
        pytest.MonkeyPatch().setattr(restarting, "wait_for_server", lambda *_: die())
        run_drive(run=run.pk)

    assert os.WIFSIGNALED(in_another_process(worker))
    timers = ["systemctl", "list-timers", "--all", "--no-legend", "redoubt-guard-*"]
    assert b"redoubt-guard" in node.lab.exec("restart-1", timers).stdout
    take_over(run)
    assert run.state == Run.State.SUCCEEDED, run.failure
    assert b"redoubt-guard" not in node.lab.exec("restart-1", timers).stdout
    assert_encrypted(node)
    assert uninstall(node).state == Run.State.SUCCEEDED
    assert node.state() == before, node.state().lines_unlike(before)


@pytest.mark.parametrize("gone", ["nobody comes back", "the node reboots"])
def test_a_guard_puts_the_old_file_back_where_no_worker_comes(
    nodes: dict[str, TestNode], gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["restart-1"]
    before = node.state()
    run = node.ask("install")
    monkeypatch.setattr(guard, "SECONDS", 4)

    def worker() -> None:
        pytest.MonkeyPatch().setattr(restarting, "wait_for_server", lambda *_: die())
        run_drive(run=run.pk)

    assert os.WIFSIGNALED(in_another_process(worker))
    if gone == "the node reboots":
        node.lab.reboot("restart-1")
    fired = ["test", "-e", f"/var/lib/redoubt/{run.pk}/{node.node.pk}/fired"]
    deadline = time.monotonic() + 30
    while node.lab.exec("restart-1", fired).returncode and time.monotonic() < deadline:
        time.sleep(0.2)
    assert closed(node.host.address), "the guard has not put the old file back"
    assert node.state().serves
    take_over(run)
    assert run.state in {Run.State.PUT_BACK, Run.State.SUCCEEDED}, run.failure
    if run.state == Run.State.SUCCEEDED:
        assert_encrypted(node)
        assert uninstall(node).state == Run.State.SUCCEEDED
    assert node.state() == before, node.state().lines_unlike(before)


@pytest.mark.parametrize("step", ["configuration", "firewall", "certificate"])
@pytest.mark.parametrize("name", ["live-1", pytest.param("restart-1", marks=pytest.mark.long)])
def test_a_put_back_killed_on_the_way_is_finished(
    nodes: dict[str, TestNode], name: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes[name]
    before = node.state()
    run = node.ask("install")
    monkeypatch.setattr("addons.encryption.plan.verify", _fails)
    assert drive_until(run.pk, "undone", step), "the worker did not reach the boundary"
    monkeypatch.undo()
    take_over(run)
    assert run.state == Run.State.PUT_BACK, run.failure
    after = node.state()
    assert after == before, after.lines_unlike(before)


def _fails(*_args: object, **_named: object) -> None:
    raise TimeoutError("injected")
