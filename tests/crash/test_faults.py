"""Every step and the proof made to fail in turn, tasks delivered twice, people who stop a run."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from addons.encryption import plan
from addons.encryption.steps import certificate, configuration, firewall, restart, runtime
from addons.engine.step import StepFailed
from addons.models import Certificate, MachineLock, NodeInstallation, Run
from addons.runs.claim import run_claim
from addons.runs.drive import run_drive
from addons.runs.journal import DatabaseJournal
from addons.runs.services import run_resolve, run_retry_put_back, run_stop
from addons.runs.sweep import due_runs
from instances.nodeconf.command import Command
from instances.reason import Reason
from tests.crash.conftest import ACTOR, TestNode
from tests.crash.node_state import closed

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

STEPS = {
    "issue": certificate.IssueCertificates,
    "remove": certificate.RemoveCertificates,
    "firewall": firewall.FirewallRules,
    "runtime": runtime.RunningServer,
    "configuration": configuration.ConfigurationFile,
    "restart": restart.Restart,
}
INSTALL = [
    *(("live-1", step) for step in ("issue", "firewall", "runtime", "configuration", "probe")),
    *(("restart-1", step) for step in ("issue", "firewall", "configuration", "restart", "probe")),
]
UNINSTALL = [(name, {"issue": "remove"}.get(step, step)) for name, step in INSTALL]
# What is the same with a restart as without one does not fail twice in each test run.
SAME = [("restart-1", step) for step in ("issue", "remove", "firewall")]


def usual(cases: Iterable[tuple[str, str]]) -> list[Any]:
    return [pytest.param(*case, marks=[pytest.mark.long] if case in SAME else []) for case in cases]


def failing(original: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def act(*args: Any, **named: Any) -> Any:
        if after:
            original(*args, **named)
        raise StepFailed(Reason("Injected", "a fault of the test", "Nothing."))

    return act


def inject(patch: pytest.MonkeyPatch, step: str, *, after: bool = True) -> None:
    if step == "probe":
        # Only the proof of the way forward: the way back is proven for real.
        proof = failing(plan.verify, after=after)
        patch.setattr(plan, "verify", proof)
    else:
        patch.setattr(STEPS[step], "apply", failing(STEPS[step].apply, after=after))


def drive(run: Run) -> Run:
    run_drive(run=run.pk)
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("after", [False, True], ids=["before acting", "after acting"])
@pytest.mark.parametrize(("name", "step"), usual(INSTALL))
def test_an_install_that_fails_anywhere_leaves_the_node_as_it_was(
    nodes: dict[str, TestNode], name: str, step: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes[name]
    before = node.state()
    with monkeypatch.context() as patch:
        inject(patch, step, after=after)
        run = drive(node.ask("install"))
    assert run.state == Run.State.PUT_BACK, run.failure
    assert run.failure["reason"] == "Injected"
    after_state = node.state()
    assert after_state == before, after_state.lines_unlike(before)
    assert after_state.serves
    assert closed(node.host.address)
    assert not MachineLock.objects.exists()
    assert not Certificate.objects.exclude(state=Certificate.State.ABANDONED).exists()
    assert not any(NodeInstallation.objects.get().baseline.values()), "nothing is left to undo"


@pytest.mark.parametrize(("name", "step"), usual(case for case in UNINSTALL if case[1] != "probe"))
def test_an_uninstall_that_fails_anywhere_leaves_the_node_encrypted(
    nodes: dict[str, TestNode], name: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes[name]
    before = node.state()
    assert drive(node.ask("install")).state == Run.State.SUCCEEDED
    encrypted = node.state()
    with monkeypatch.context() as patch:
        inject(patch, step)
        run = drive(node.ask("uninstall"))
    assert run.state == Run.State.PUT_BACK, run.failure
    after = node.state()
    assert after == encrypted, after.lines_unlike(encrypted)
    assert not closed(node.host.address)
    assert drive(node.ask("uninstall")).state == Run.State.SUCCEEDED
    assert node.state() == before, node.state().lines_unlike(before)


def test_a_task_delivered_twice_at_once_runs_once(nodes: dict[str, TestNode]) -> None:
    node = nodes["live-1"]
    run = node.ask("install")
    connections.close_all()
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            try:
                run_drive(run=run.pk)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (Run.State.SUCCEEDED, 1)
    assert run.records.filter(kind="applied").count() == 4
    assert drive(run).attempt == 1, "a late delivery does nothing"
    assert drive(node.ask("uninstall")).state == Run.State.SUCCEEDED


def test_a_run_whose_message_was_lost_is_found_by_the_sweep(nodes: dict[str, TestNode]) -> None:
    run = nodes["live-1"].ask("install")
    now = timezone.now()
    assert due_runs(now) == [], "its message may still be on its way"
    assert due_runs(now + timedelta(seconds=6)) == [run.pk]
    assert run_claim(run=run.pk, holder="a worker that dies", now=now) is not None
    assert due_runs(now + timedelta(seconds=6)) == []
    assert due_runs(now + timedelta(hours=1)) == [run.pk], "its lease is over"


def test_a_second_run_on_a_machine_waits_for_the_first(nodes: dict[str, TestNode]) -> None:
    node = nodes["live-1"]
    first, second = node.ask("install"), node.ask("install")
    now = timezone.now()
    assert run_claim(run=first.pk, holder="one", now=now) is not None
    assert run_claim(run=second.pk, holder="two", now=now) is None
    second.refresh_from_db()
    assert second.state == Run.State.QUEUED


def test_a_person_stops_a_run_and_the_node_is_as_before(
    nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["live-1"]
    before = node.state()
    run = node.ask("install")
    original, look = firewall.FirewallRules.apply, DatabaseJournal._look_for_stop
    noticed = threading.Event()

    def slow(self: Any, session: Any, state: Any) -> str:
        said = original(self, session, state)
        assert noticed.wait(30), "the worker looks every moment"
        return said

    def looks(self: DatabaseJournal) -> None:
        look(self)
        if self._stop.is_set():
            noticed.set()

    monkeypatch.setattr(firewall.FirewallRules, "apply", slow)
    monkeypatch.setattr(DatabaseJournal, "_look_for_stop", looks)
    connections.close_all()
    person = os.fork()
    if not person:
        try:
            while not run.records.filter(step="firewall", kind="before").exists():
                time.sleep(0.05)
            run_stop(actor=ACTOR, run=run)
        finally:
            os._exit(0)
    drive(run)
    os.waitpid(person, 0)
    assert run.state == Run.State.PUT_BACK, run.failure
    assert run.records.filter(says__contains="stopped by a person").exists()
    after = node.state()
    assert after == before, after.lines_unlike(before)


def test_a_worker_that_only_slept_finds_its_shell_gone_and_touches_nothing(
    nodes: dict[str, TestNode],
) -> None:
    node = nodes["live-1"]
    before = node.state()
    run = node.ask("install")
    connections.close_all()
    sleeper = os.fork()
    if not sleeper:
        patch = pytest.MonkeyPatch()
        patch.setattr(firewall.FirewallRules, "apply", _asleep)
        try:
            run_drive(run=run.pk)
        finally:
            os._exit(0)
    os.waitpid(sleeper, os.WUNTRACED)
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    drive(run)
    assert (run.state, run.attempt) == (Run.State.SUCCEEDED, 2), run.failure
    records = run.records.count()
    os.kill(sleeper, signal.SIGCONT)
    os.waitpid(sleeper, 0)
    run.refresh_from_db()
    assert run.state == Run.State.SUCCEEDED
    assert run.records.count() == records, "it recorded something without a lease"
    assert not closed(node.host.address)
    assert drive(node.ask("uninstall")).state == Run.State.SUCCEEDED
    assert node.state() == before, node.state().lines_unlike(before)


def _asleep(_step: Any, session: Any, _state: Any) -> str:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.5)  # A stop of all threads takes a moment to reach this one.
    session.host.run(Command(("touch", "/etc/redis/written-without-a-lease")))
    return "this must not have happened"


def test_a_node_cut_off_in_the_middle_is_stuck_and_put_back_once_it_is_there_again(
    nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["live-1"]
    before = node.state()
    original = runtime.RunningServer.apply

    def cut(self: Any, session: Any, state: Any) -> str:
        said = original(self, session, state)
        node.lab.cut("live-1")
        return said

    with monkeypatch.context() as patch:
        patch.setattr(runtime.RunningServer, "apply", cut)
        run = drive(node.ask("install"))
    assert run.state == Run.State.STUCK
    node.lab.mend("live-1")
    run_retry_put_back(actor=ACTOR, run=run)
    assert drive(run).state == Run.State.PUT_BACK, run.failure
    after = node.state()
    assert after == before, after.lines_unlike(before)


def test_a_stuck_run_keeps_its_machine_until_it_is_put_back_or_resolved(
    nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["live-1"]
    before = node.state()
    run = node.ask("install")
    with monkeypatch.context() as patch:
        patch.setattr(plan, "verify", failing(plan.verify, after=False))
        patch.setattr(
            firewall.FirewallRules, "undo", failing(firewall.FirewallRules.undo, after=False)
        )
        drive(run)
    assert run.state == Run.State.STUCK
    assert run.failure["step"] == "verify", "the first error is never hidden"
    assert run_claim(run=node.ask("install").pk, holder="x", now=timezone.now()) is None
    run_retry_put_back(actor=ACTOR, run=run)
    assert drive(run).state == Run.State.PUT_BACK
    after = node.state()
    assert after == before, after.lines_unlike(before)
    assert not MachineLock.objects.exists()


def test_a_stuck_run_can_be_marked_as_resolved(
    nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["live-1"]
    with monkeypatch.context() as patch:
        patch.setattr(plan, "verify", failing(plan.verify, after=False))
        patch.setattr(
            firewall.FirewallRules, "undo", failing(firewall.FirewallRules.undo, after=False)
        )
        run = drive(node.ask("install"))
    run_resolve(actor=ACTOR, run=run, note="removed the rule by hand")
    run.refresh_from_db()
    assert run.state == Run.State.RESOLVED
    assert not MachineLock.objects.exists()
    assert drive(node.ask("install")).state == Run.State.SUCCEEDED
    assert drive(node.ask("uninstall")).state == Run.State.SUCCEEDED
