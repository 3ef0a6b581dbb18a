"""A primary and its replicas: links over TLS, TLS alone, and back, while somebody writes."""

import logging
from itertools import groupby

import pytest
import redis

from addons.models import Run
from tests.acceptance.outside import ping_plainly
from tests.acceptance.panel import refused
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.topology.replication import NAMES, NEVER, Replication
from tests.topology.wiretap import listening
from tests.topology.writer import writing

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

logger = logging.getLogger(__name__)

USUAL = "7.0"
LIVE = (USUAL, "6.2", "8.0", "valkey")
EACH = [pytest.param(x, marks=[] if x == USUAL else [pytest.mark.long]) for x in LIVE]


@pytest.mark.parametrize("kind", EACH)
def test_links_are_led_to_tls_and_back_while_somebody_writes(stage: Stage, kind: str) -> None:
    group = Replication(stage, kind)
    before = stage.photographs(*NAMES)
    syncs = group.full_syncs
    assert group.links == [(str(PORT), "up")] * 2
    assert refused(stage.panel.try_install("primary", tls_replication="on")) == (
        "PrimaryNotEncrypted"
    )

    plain = redis.Redis(stage.address("primary"), PORT, socket_timeout=5)
    with writing(plain) as written:
        stage.panel.install("primary")
        assert refused(stage.panel.run("primary", "configure", {"plaintext": "off"})) == (
            "PlainLinks"
        )
        told = group.configured(tls_replication="on")
        assert group.links == [(str(TLS_PORT), "up")] * 2
    assert sum("over TLS" in text for text in told) >= 2
    assert (written.errors, written.longest_s < 1) == ([], True)
    assert written.last > 100
    group.has_all(written.last)

    with writing(group.over_tls()) as secured:
        group.configured(plaintext="off")
        assert ping_plainly(stage.address("primary")) == "ConnectionRefusedError"
        assert group.links == [(str(TLS_PORT), "up")] * 2
        group.configured(plaintext="keep")
        group.configured(tls_replication="off")
    assert group.links == [(str(PORT), "up")] * 2
    assert (secured.errors, secured.longest_s < 1) == ([], True)
    group.has_all(secured.last)

    group.configured(tls_replication="on")
    group.configured(plaintext="off", tls_port=str(PORT))
    assert group.links == [(str(PORT), "up")] * 2
    assert group.full_syncs == syncs, "no full resync"
    group.client("primary").flushall()
    stage.panel.uninstall("primary")
    assert group.links == [(str(PORT), "up")] * 2
    assert group.full_syncs == syncs, "no full resync"
    assert stage.trace(before) == {}


def test_nobody_on_the_network_reads_what_is_written(stage: Stage) -> None:
    group = Replication(stage, USUAL)
    address = stage.address("primary")
    with listening(address) as open_to_all:
        redis.Redis(address, PORT).set("place", "marked-before")
        group.wait_for("marked-before")
    # By the client, and by the primary to two replicas.
    assert sum(b"marked-before" in frame for frame in open_to_all.frames) > 2

    stage.panel.install("primary")
    group.configured(tls_replication="on")
    group.configured(plaintext="off")
    with listening(address) as heard:
        group.over_tls().set("place", "marked-after")
        group.wait_for("marked-after")
    assert len(heard.frames) > 10
    assert b"marked-after" not in heard


@pytest.mark.long
def test_where_it_takes_restarts_nothing_is_lost_and_full_resyncs_are_counted(
    stage: Stage,
) -> None:
    group = Replication(stage, "6.0")
    before = stage.photographs(*NAMES)
    plain = redis.Redis(stage.address("primary"), PORT, socket_timeout=5, retry=NEVER)
    with writing(plain) as written:
        assert one_after_the_other(stage.panel.install("primary")) == [*NAMES[1:], "primary"]
        group.configured(tls_replication="on")
        assert group.links == [(str(TLS_PORT), "up")] * 2
    logger.info("%s writes, %s refused meanwhile", written.last, len(written.errors))
    group.has_all(written.last)
    group.configured(plaintext="off")
    assert group.links == [(str(TLS_PORT), "up")] * 2
    group.has_all(written.last)
    logger.info("%s full resyncs since the primary's last start", group.full_syncs)
    group.client("primary").flushall()
    stage.panel.uninstall("primary", apply="restart")
    assert group.links == [(str(PORT), "up")] * 2
    assert stage.trace(before) == {}


def one_after_the_other(run: Run) -> list[str]:
    """Which nodes were changed, each proven before the next was begun."""
    records = run.records.filter(kind__in=["before", "verified"]).select_related("node")
    names = [record.node.name for record in records if record.node]
    return [name for name, _ in groupby(names)]
