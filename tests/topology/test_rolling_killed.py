"""Workers that die around a handover, and restarts that fail after one."""

import logging
import os
import time

import pytest

from addons.encryption import handing_by_sentinels, handing_over
from addons.encryption.handing_over import hand_over
from addons.encryption.party import Party
from addons.encryption.steps import handover as steps_handover
from addons.encryption.steps.restart import Restart
from addons.engine.step import State, StepFailed
from addons.models import MachineLock, Run
from addons.runs.drive import run_drive
from addons.session import NodeSession
from instances.reason import Reason
from tests.acceptance.panel import said
from tests.acceptance.photograph import shell
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import TLS_PORT
from tests.crash.killing import die, drive_until, in_another_process
from tests.crash.test_kill import take_over
from tests.topology import replication as replications
from tests.topology.cluster import NAMES, PRIMARIES, Cluster
from tests.topology.sentinels import Sentinels
from tests.topology.test_cluster import over_tls
from tests.topology.test_rolling import RESTART, Watcher, nothing_lost, resyncs
from tests.topology.writer import writing

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.long, pytest.mark.timeout(900)]

logger = logging.getLogger(__name__)

USUAL = "7.0"
BOUNDARIES = [
    ("before", "handover"),
    ("applied", "handover"),
    ("before", "restart"),
    ("applied", "restart"),
]


def finished(run: Run, what: object) -> None:
    take_over(run)
    assert run.state == Run.State.SUCCEEDED, (what, run.failure, said(run))
    assert not MachineLock.objects.exists()


def dying(module: object, name: str, run: Run) -> None:
    """Drive a run in a worker that dies where it would call a function."""

    def worker() -> None:
        pytest.MonkeyPatch().setattr(module, name, lambda *_: die())
        run_drive(run=run.pk)

    assert os.WIFSIGNALED(in_another_process(worker)), name


def test_a_cluster_s_run_is_finished_by_the_next_worker(lasting: Stage) -> None:
    cluster = Cluster(lasting, USUAL)
    lasting.panel.install(PRIMARIES[0], tls_cluster="on")
    synced, minima = resyncs(cluster), ("1.3", "1.2")
    with writing(over_tls(cluster)) as written:
        for at, (event, step) in enumerate(BOUNDARIES):
            asked = {"tls_minimum": minima[at % 2], **RESTART}
            run = lasting.panel.ask(PRIMARIES[0], "configure", asked)
            assert drive_until(run.pk, event, step), (event, step)
            finished(run, (event, step))
            cluster.wait_until_whole()
        run = lasting.panel.ask(PRIMARIES[0], "configure", {"tls_minimum": "1.3", **RESTART})
        # The election has been asked for.
        dying(handing_over, "_knows", run)
        finished(run, "in the election")
        cluster.wait_until_whole()
    nothing_lost(cluster, written, synced)


def test_a_watched_group_s_run_is_finished_by_the_next_worker(lasting: Stage) -> None:
    group = Sentinels(lasting, USUAL)
    synced = resyncs(group)
    with writing(Watcher(group)) as written:
        for at, (event, step) in enumerate(BOUNDARIES):
            run = lasting.panel.ask("primary", ("install", "uninstall")[at % 2], RESTART)
            assert drive_until(run.pk, event, step), (event, step)
            finished(run, (event, step))
            group.is_plain()
    nothing_lost(group, written, synced)


def test_a_failover_that_a_dead_worker_asked_for_is_finished_by_the_next(lasting: Stage) -> None:
    group = Sentinels(lasting, USUAL)
    synced = resyncs(group)
    with writing(Watcher(group)) as written:
        for action, place in (("install", "_promoted"), ("uninstall", "keep_primary")):
            run = lasting.panel.ask("primary", action, RESTART)
            dying(handing_by_sentinels, place, run)
            finished(run, (action, place))
            group.is_plain()
    logger.info("longest pause %.0f ms", written.longest_s * 1000)
    logger.info("%s full resyncs", resyncs(group) - synced)
    assert written.errors == []
    group.has_all(written)


def fails_after_a_handover(monkeypatch: pytest.MonkeyPatch, *primaries: str) -> None:
    """Let whoever has handed its role over not come back as it should."""
    restart = Restart.apply

    def broken(step: Restart, node: NodeSession, state: State) -> str:
        said = restart(step, node, state)
        if node.name in primaries:
            raise StepFailed(Reason("Broken", "as if it had not come back as it should"))
        return said

    monkeypatch.setattr(Restart, "apply", broken)


def test_a_watched_group_goes_back_after_a_handover(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Sentinels(stage, USUAL)
    synced = resyncs(group)
    fails_after_a_handover(monkeypatch, "primary")
    with writing(Watcher(group)) as written:
        run = stage.panel.run("primary", "install", RESTART)
    assert run.state == Run.State.PUT_BACK, (run.failure, said(run))
    logger.info("\n".join(said(run)))
    group.is_plain()
    nothing_lost(group, written, synced)


def test_a_cluster_goes_back_after_a_handover(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(stage, "8.0")
    synced = resyncs(cluster)
    fails_after_a_handover(monkeypatch, *PRIMARIES)
    with writing(cluster.knowing()) as written:
        run = stage.panel.run(PRIMARIES[0], "install", RESTART)
    assert run.state == Run.State.PUT_BACK, (run.failure, said(run))
    logger.info("\n".join(said(run)))
    cluster.wait_until_whole()
    nothing_lost(cluster, written, synced)


def primary_dies(monkeypatch: pytest.MonkeyPatch, stage: Stage, module: object, name: str) -> None:
    """Kill a primary where the handover of its role calls a function for the first time.

    Its unit starts it again.
    """
    handover, there = hand_over, getattr(module, name)
    primaries: list[str] = []
    killed: list[str] = []

    def noted(node: NodeSession, party: Party) -> str:
        primaries.append(node.name)
        return handover(node, party)

    def deadly(*args: object) -> object:
        if not killed:
            killed.append(primaries[-1])
            shell(stage.lab, killed[0], "systemctl kill -s KILL '*-server.service'; sleep 1")
        return there(*args)

    monkeypatch.setattr(steps_handover, "hand_over", noted)
    monkeypatch.setattr(module, name, deadly)


def on_one_side(group: Cluster | Sentinels, run: Run) -> None:
    logger.info("%s: %s\n%s", run.state, run.failure, "\n".join(said(run)))
    assert run.state in {Run.State.SUCCEEDED, Run.State.PUT_BACK}, (run.failure, said(run))
    assert not MachineLock.objects.exists()
    speaks = run.state == Run.State.SUCCEEDED
    names = NAMES if isinstance(group, Cluster) else replications.NAMES
    ports = {group.client(name).config_get("tls-port")["tls-port"] for name in names}
    assert ports == {str(TLS_PORT if speaks else 0)}
    # It can be led the other way from there, with the role handed over once more.
    again = group.stage.panel.run(names[0], "uninstall" if speaks else "install", RESTART)
    assert again.state == Run.State.SUCCEEDED, (again.failure, said(again))


@pytest.mark.parametrize("place", ["_elected", "_knows"])
def test_a_primary_that_dies_in_its_handover_leaves_the_cluster_on_one_side(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    cluster = Cluster(stage, "8.0")
    with monkeypatch.context() as patched:
        primary_dies(patched, stage, handing_over, place)
        run = stage.panel.run(PRIMARIES[0], "install", RESTART)
    cluster.wait_until_whole()
    on_one_side(cluster, run)
    cluster.wait_until_whole()


@pytest.mark.parametrize("place", ["_have_all", "_promoted", "_names"])
def test_a_primary_that_dies_in_its_handover_leaves_a_watched_group_on_one_side(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    group = Sentinels(stage, USUAL)
    with monkeypatch.context() as patched:
        primary_dies(patched, stage, handing_by_sentinels, place)
        run = stage.panel.run("primary", "install", RESTART)
    becomes_plain(group)
    on_one_side(group, run)
    group.is_plain()


def becomes_plain(group: Sentinels, seconds: float = 60) -> None:
    """Wait until Sentinels find everybody well again whom they took for dead."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            group.is_plain()
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return
