"""Workers and primaries that die while links are led to TLS: the group ends well, on one side."""

import pytest

from addons.models import MachineLock, Run
from tests.acceptance.panel import succeeded
from tests.acceptance.photograph import shell
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.crash.killing import drive_until
from tests.crash.test_kill import take_over
from tests.topology.replication import Replication

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

OVER_TLS, PLAIN = [(str(TLS_PORT), "up")] * 2, [(str(PORT), "up")] * 2
USUAL = [("before", "link"), ("applied", "link")]
MORE = [
    ("before", "runtime"),
    ("applied", "runtime"),
    ("applied", "configuration"),
    ("verified", ""),
    ("node_done", ""),
]


@pytest.fixture
def group(lasting: Stage) -> Replication:
    made = Replication(lasting, "7.0")
    lasting.panel.install("primary")
    return made


def asked(group: Replication, **settings: str) -> Run:
    return group.stage.panel.ask("primary", "configure", settings)


def _killed_everywhere(group: Replication, boundaries: list[tuple[str, str]]) -> None:
    syncs = group.full_syncs
    for event, step in boundaries:
        for wanted, links in (("on", OVER_TLS), ("off", PLAIN)):
            run = asked(group, tls_replication=wanted)
            assert drive_until(run.pk, event, step), f"{event} {step} was not reached"
            assert [state for _, state in group.links] == ["up", "up"], "nobody lost its primary"
            take_over(run)
            assert run.state == Run.State.SUCCEEDED, (event, step, run.failure)
            assert group.links == links
            assert not MachineLock.objects.exists()
    assert group.full_syncs == syncs


def test_a_worker_killed_at_the_links_is_followed_by_one_that_finishes(group: Replication) -> None:
    _killed_everywhere(group, USUAL)


@pytest.mark.long
def test_a_worker_killed_anywhere_is_followed_by_one_that_finishes(group: Replication) -> None:
    _killed_everywhere(group, MORE)


def test_a_primary_killed_in_the_middle_leaves_the_group_on_one_side(group: Replication) -> None:
    run = asked(group, tls_replication="on")
    assert drive_until(run.pk, "applied", "link")
    shell(group.stage.lab, "primary", "systemctl kill -s KILL redis-server; sleep 1")
    take_over(run)
    assert run.state in {Run.State.SUCCEEDED, Run.State.PUT_BACK}, run.failure
    over_tls = run.state == Run.State.SUCCEEDED
    assert group.links == (OVER_TLS if over_tls else PLAIN)
    succeeded(group.stage.panel.run("primary", "configure", {"tls_replication": "off"}))
    assert group.links == PLAIN
