"""A primary and its replicas under Sentinels."""

import pytest

from tests.acceptance.stage import Stage
from tests.topology.sentinels import SENTINELS, Sentinels

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

USUAL = "7.0"
EACH = [
    pytest.param(x, marks=[] if x == USUAL else [pytest.mark.long])
    for x in (USUAL, "8.0", "valkey")
]


@pytest.mark.parametrize("kind", EACH)
def test_sentinels_are_looked_at_and_fail_over(stage: Stage, kind: str) -> None:
    group = Sentinels(stage, kind)
    for name in SENTINELS:
        assert stage.panel.look(name).facts["server"]["sentinel"]
    assert group.failed_over() != "primary"


@pytest.mark.long
def test_a_sentinel_beside_a_server_is_a_node_of_its_own(stage: Stage) -> None:
    Sentinels(stage, USUAL, shared=True)
    assert stage.panel.look("sentinel-1").facts["server"]["sentinel"]
    assert not stage.panel.look("primary").facts["server"]["sentinel"]
