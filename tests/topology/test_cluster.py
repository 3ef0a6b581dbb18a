"""A cluster while somebody writes who knows its topology."""

import pytest

from tests.acceptance.stage import Stage
from tests.topology.cluster import PRIMARIES, REPLICAS, Cluster
from tests.topology.writer import writing

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

USUAL = "7.0"
KINDS = (USUAL, "8.0", "valkey")
EACH = [pytest.param(x, marks=[] if x == USUAL else [pytest.mark.long]) for x in KINDS]


@pytest.mark.parametrize("kind", EACH)
def test_tls_comes_beside_plaintext_while_somebody_writes(stage: Stage, kind: str) -> None:
    cluster = Cluster(stage, kind)
    roles = cluster.roles
    assert {name for name in roles if roles[name] == "master"} == set(PRIMARIES)
    assert {name for name in roles if roles[name] == "slave"} == set(REPLICAS)
    with writing(cluster.knowing()) as written:
        stage.panel.install(PRIMARIES[0])
    assert (written.errors, written.longest_s < 1) == ([], True)
    cluster.has_all(cluster.knowing(), written.last)
    assert cluster.ails() == []
