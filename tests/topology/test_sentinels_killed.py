"""Workers and primaries that die while a watched group moves: it ends on one side, watched."""

import pytest

from addons.models import MachineLock, Run
from tests.acceptance.panel import succeeded
from tests.acceptance.photograph import shell
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.crash.killing import drive_until
from tests.crash.test_kill import take_over
from tests.topology.sentinels import Sentinels

pytestmark = [
    pytest.mark.lab,
    pytest.mark.topology,
    pytest.mark.long,
    pytest.mark.timeout(900),
]

ALL_TLS = {"tls_replication": "on", "plaintext": "off", "tls_port": str(PORT)}
BESIDE = {"tls_replication": "off", "plaintext": "keep", "tls_port": str(TLS_PORT)}
BOUNDARIES = [
    ("before", "failover"),
    ("held", "failover"),
    ("applied", "runtime"),
    ("before", "link"),
    ("applied", "leftover"),
    ("before", "sentinel"),
    ("applied", "sentinel"),
    ("released", "failover"),
]


@pytest.fixture
def group(lasting: Stage) -> Sentinels:
    made = Sentinels(lasting, "7.0")
    lasting.panel.install("primary")
    return made


def asked(group: Sentinels, settings: dict[str, str]) -> Run:
    return group.stage.panel.ask("primary", "configure", settings)


def test_a_worker_killed_anywhere_is_followed_by_one_that_finishes(group: Sentinels) -> None:
    syncs = group.full_syncs
    for event, step in BOUNDARIES:
        for settings, arrived in ((ALL_TLS, group.is_encrypted), (BESIDE, group.is_plain)):
            run = asked(group, settings)
            if not drive_until(run.pk, event, step):
                assert (step, settings) == ("leftover", BESIDE), f"{event} {step} was not reached"
                run.refresh_from_db()
            else:
                take_over(run)
            assert run.state == Run.State.SUCCEEDED, (event, step, run.failure)
            arrived()
            assert not MachineLock.objects.exists()
    assert group.full_syncs == syncs


@pytest.mark.parametrize(("event", "step"), [("applied", "link"), ("applied", "sentinel")])
def test_a_primary_killed_in_the_middle_leaves_the_group_on_one_side(
    group: Sentinels, event: str, step: str
) -> None:
    run = asked(group, ALL_TLS)
    assert drive_until(run.pk, event, step)
    shell(group.stage.lab, "primary", "systemctl kill -s KILL redis-server; sleep 1")
    take_over(run)
    assert run.state in {Run.State.SUCCEEDED, Run.State.PUT_BACK}, run.failure
    if run.state == Run.State.SUCCEEDED:
        group.is_encrypted()
        succeeded(group.stage.panel.run("primary", "configure", BESIDE))
    group.is_plain()
    group.fails_over()


def test_a_sentinel_that_does_not_start_with_tls_leads_all_back(group: Sentinels) -> None:
    # It may not read the key that it is given.
    script = "mkdir -p /etc/systemd/system/redis-sentinel.service.d; printf '%s' \"$1\" >$2"
    place = "/etc/systemd/system/redis-sentinel.service.d/hidden.conf"
    hidden = "[Service]\nInaccessiblePaths=-/etc/redis/tls\n"
    shell(group.stage.lab, "sentinel-2", f"{script}; systemctl daemon-reload", hidden, place)
    run = group.stage.panel.run("primary", "configure", ALL_TLS)
    assert run.state == Run.State.PUT_BACK, run.failure
    assert run.failure["reason"] == "SentinelNotBack"
    group.is_plain()
    group.fails_over()
