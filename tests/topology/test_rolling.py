"""Servers that have to restart: replicas first, then a replica takes over, then who was primary."""

import logging
import time

import pytest
import redis
from redis.sentinel import Sentinel

from addons.models import Run
from tests.acceptance.panel import refused, said
from tests.acceptance.photograph import shell
from tests.acceptance.stage import Stage, at_once
from tests.topology import cluster as clusters
from tests.topology import replication as replications
from tests.topology.cluster import Cluster
from tests.topology.replication import NEVER
from tests.topology.sentinels import MASTER, SENTINEL_PORT, SENTINELS, Sentinels
from tests.topology.test_cluster import MODERN, nobody_reads_along, over_tls
from tests.topology.writer import Written, writing

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

logger = logging.getLogger(__name__)

USUAL = "7.0"
RESTART = {"apply": "restart"}


class Watcher:
    """redis-py's Sentinel client, of an application that tries again."""

    def __init__(self, group: Sentinels) -> None:
        places = [(group.stage.address(name), SENTINEL_PORT) for name in SENTINELS]
        self._client = Sentinel(places, socket_timeout=5, retry=NEVER).master_for(MASTER)

    def set(self, key: str, value: int) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self._client.set(key, value)
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


def resyncs(group: Cluster | Sentinels) -> int:
    """Full ones, as replicas logged them: counters begin anew with each start."""
    names = clusters.NAMES if isinstance(group, Cluster) else replications.NAMES
    script = f"cat /var/log/{group.service}/*server*.log | grep -ci 'full resync from' || true"
    return sum(int(text) for text in at_once(lambda n: shell(group.stage.lab, n, script), names))


def handed_over(run: Run) -> list[str]:
    """Who took over, in the order in which they did."""
    return [
        record.says.split(" ")[0] for record in run.records.filter(step="handover", kind="applied")
    ]


def nothing_lost(group: Cluster | Sentinels, written: Written, synced: int) -> None:
    logger.info("longest pause %.0f ms of %s writes", written.longest_s * 1000, written.last)
    assert written.errors == []
    assert written.last > 100
    assert resyncs(group) == synced, "no full resync"
    group.has_all(written)


@pytest.mark.long
def test_a_cluster_that_restarts_hands_each_role_over_before(stage: Stage) -> None:
    cluster = Cluster(stage, USUAL)
    stage.panel.install(clusters.PRIMARIES[0], tls_cluster="on")
    synced = resyncs(cluster)
    assert synced == len(clusters.REPLICAS)
    with writing(over_tls(cluster)) as written:
        run = stage.panel.run(clusters.NAMES[0], "configure", {"tls_minimum": "1.3", **RESTART})
    assert run.state == Run.State.SUCCEEDED, said(run)
    assert sorted(handed_over(run)) == list(clusters.REPLICAS)
    cluster.wait_until_whole()
    nothing_lost(cluster, written, synced)
    nobody_reads_along(cluster)
    # Restarted one by one, nodes would be on two sides of these.
    for settings in ({"tls_cluster": "off"}, {"plaintext": "off"}, {"tls_port": "7443"}):
        run = stage.panel.run(clusters.NAMES[0], "configure", {**settings, **RESTART})
        assert refused(run) in {"ClusterNeedsLive", "ClusterRedirects"}


@pytest.mark.long
@pytest.mark.parametrize("kind", MODERN)
def test_a_later_cluster_takes_tls_for_clients_by_restarts_and_gives_it_back(
    stage: Stage, kind: str
) -> None:
    cluster = Cluster(stage, kind)
    before, synced = stage.photographs(*clusters.NAMES), resyncs(cluster)
    with writing(cluster.knowing()) as written:
        for action in ("install", "uninstall"):
            run = stage.panel.run(clusters.NAMES[0], action, RESTART)
            assert run.state == Run.State.SUCCEEDED, said(run)
            assert len(handed_over(run)) == len(clusters.REPLICAS)
            cluster.wait_until_whole()
    nothing_lost(cluster, written, synced)
    cluster.knowing().flushall()
    assert stage.trace(before) == {}


@pytest.mark.long
@pytest.mark.parametrize("kind", [USUAL, "6.2", "8.0", "valkey"])
def test_a_watched_primary_hands_its_role_over_before_it_restarts(stage: Stage, kind: str) -> None:
    group = Sentinels(stage, kind)
    synced = resyncs(group)
    with writing(Watcher(group)) as written:
        for action in ("install", "uninstall"):
            before = group.primary
            run = stage.panel.run("primary", action, RESTART)
            assert run.state == Run.State.SUCCEEDED, said(run)
            assert [group.primary] == handed_over(run) != [before]
            group.is_plain()
    nothing_lost(group, written, synced)


@pytest.mark.long
def test_nodes_that_forbid_config_hand_their_roles_over_too(stage: Stage) -> None:
    cluster = Cluster(stage, "8.0")
    for name in clusters.NAMES:
        path = f"/etc/{cluster.service}/{cluster.service}.conf"
        shell(stage.lab, name, f"echo 'rename-command CONFIG \"\"' >>{path}")
        cluster.restart(name)
        cluster.wait_until_whole()
    with writing(cluster.knowing()) as written:
        for action in ("install", "uninstall"):
            run = stage.panel.run(clusters.NAMES[0], action, {})
            assert run.state == Run.State.SUCCEEDED, said(run)
            assert len(handed_over(run)) == len(clusters.REPLICAS)
            cluster.wait_until_whole()
    assert written.errors == []
    cluster.has_all(written)
