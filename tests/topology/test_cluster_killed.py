"""Workers and primaries that die, and steps that fail, while a cluster is led to TLS."""

import logging
import os
import time

import pytest

from addons.encryption.steps.cluster import ClusterServer
from addons.encryption.steps.configuration import ConfigurationFile
from addons.engine.step import State, StepFailed
from addons.models import MachineLock, Run
from addons.runs.drive import run_drive
from addons.session import NodeSession
from instances.reason import Reason
from tests.acceptance.panel import said, succeeded
from tests.acceptance.photograph import shell
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.crash.killing import die, drive_until, in_another_process
from tests.crash.test_kill import take_over
from tests.topology.cluster import NAMES, PRIMARIES, REPLICAS, Cluster
from tests.topology.writer import writing

pytestmark = [
    pytest.mark.lab,
    pytest.mark.topology,
    pytest.mark.long,
    pytest.mark.timeout(900),
]

logger = logging.getLogger(__name__)

USUAL = "7.0"
KINDS = [USUAL, "8.0", "valkey"]
BOUNDARIES = [
    ("applied", "firewall"),
    ("before", "runtime"),
    ("applied", "runtime"),
    ("applied", "configuration"),
    ("verified", ""),
    ("node_done", ""),
]


def asked(cluster: Cluster, action: str, **settings: str) -> Run:
    return cluster.stage.panel.ask(PRIMARIES[0], action, settings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_killed_anywhere_is_followed_by_one_that_finishes(
    lasting: Stage, kind: str
) -> None:
    cluster = Cluster(lasting, kind)
    roles, syncs = cluster.roles, cluster.full_syncs
    with writing(cluster.knowing()) as written:
        for event, step in BOUNDARIES:
            for action, port in (("install", TLS_PORT), ("uninstall", PORT)):
                settings = {"tls_cluster": "on"} if action == "install" else {}
                run = asked(cluster, action, **settings)
                assert drive_until(run.pk, event, step), f"{event} {step} was not reached"
                take_over(run)
                assert run.state == Run.State.SUCCEEDED, (event, step, run.failure, said(run))
                cluster.wait_until_whole()
                assert cluster.followed == {port}
                assert not MachineLock.objects.exists()
    logger.info("%s: %s writes, longest %.3f s", kind, written.last, written.longest_s)
    assert written.errors == []
    assert (cluster.roles, cluster.full_syncs) == (roles, syncs)
    cluster.has_all(written)


@pytest.mark.parametrize("kind", KINDS)
def test_where_one_node_fails_after_the_change_all_go_back_together(
    stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(stage, kind)
    before, roles, syncs = stage.photographs(*NAMES), cluster.roles, cluster.full_syncs
    write = ConfigurationFile.apply

    def fails_on_the_last(step: ConfigurationFile, node: NodeSession, state: State) -> str:
        if node.name == NAMES[-1]:
            raise StepFailed(Reason("DiskBroken", "the file cannot be written"))
        return write(step, node, state)

    monkeypatch.setattr(ConfigurationFile, "apply", fails_on_the_last)
    with writing(cluster.knowing()) as written:
        run = asked(cluster, "install", tls_cluster="on")
        run_drive(run=run.pk)
        run.refresh_from_db()
    assert run.state == Run.State.PUT_BACK, said(run)
    assert run.failure["reason"] == "DiskBroken"
    logger.info("%s: %s writes, longest %.3f s", kind, written.last, written.longest_s)
    assert (written.errors, written.longest_s < 1) == ([], True)
    cluster.wait_until_whole()
    assert cluster.followed == {PORT}
    assert b"RCmb" in cluster.overheard()
    assert (cluster.roles, cluster.full_syncs) == (roles, syncs)
    cluster.has_all(written)
    cluster.knowing().flushall()
    assert stage.trace(before) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_dies_in_the_moment_itself_leaves_two_halves_that_the_next_one_joins(
    lasting: Stage, kind: str
) -> None:
    cluster = Cluster(lasting, kind)
    roles, syncs = cluster.roles, cluster.full_syncs
    run = asked(cluster, "install", tls_cluster="on")
    with writing(cluster.knowing()) as written:
        _change_primaries_and_die(run)
        assert {cluster.setting(name, "tls-cluster") for name in PRIMARIES} == {"yes"}
        assert {cluster.setting(name, "tls-cluster") for name in REPLICAS} == {"no"}
        take_over(run)
    assert run.state == Run.State.SUCCEEDED, (run.failure, said(run))
    logger.info("%s: %s writes, longest %.3f s", kind, written.last, written.longest_s)
    assert written.errors == []
    cluster.wait_until_whole()
    assert cluster.followed == {TLS_PORT}
    assert (cluster.roles, cluster.full_syncs) == (roles, syncs)
    cluster.has_all(written)


def _change_primaries_and_die(run: Run) -> None:
    change = ClusterServer.apply

    def half(step: ClusterServer, node: NodeSession, state: State) -> str:
        if node.name in REPLICAS:
            time.sleep(1)
            die()
        return change(step, node, state)

    def worker() -> None:
        pytest.MonkeyPatch().setattr(ClusterServer, "apply", half)
        run_drive(run=run.pk)

    assert os.WIFSIGNALED(in_another_process(worker))


@pytest.mark.parametrize("event", ["before", "applied"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_primary_killed_in_the_middle_leaves_the_cluster_on_one_side(
    lasting: Stage, kind: str, event: str
) -> None:
    cluster = Cluster(lasting, kind)
    run = asked(cluster, "install", tls_cluster="on")
    assert drive_until(run.pk, event, "runtime")
    unit = f"{cluster.service}-server"
    shell(lasting.lab, PRIMARIES[0], f"systemctl kill -s KILL {unit}; sleep 1")
    take_over(run)
    assert run.state in {Run.State.SUCCEEDED, Run.State.PUT_BACK}, (run.failure, said(run))
    over_tls = run.state == Run.State.SUCCEEDED
    logger.info("%s, killed %s: %s", kind, event, run.state)
    cluster.wait_until_whole()
    assert cluster.followed == {TLS_PORT if over_tls else PORT}
    heard = cluster.overheard()
    assert (b"RCmb" in heard) is not over_tls
    # It can be led the other way from there.
    action, settings = ("uninstall", {}) if over_tls else ("install", {"tls_cluster": "on"})
    succeeded(lasting.panel.run(PRIMARIES[0], action, settings))
    cluster.wait_until_whole()
