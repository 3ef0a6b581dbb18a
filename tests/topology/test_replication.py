"""A primary and its replicas: links over TLS, TLS alone, and back, while somebody writes."""

from itertools import groupby

import pytest

from addons.models import Run
from tests.acceptance.outside import ping_plainly
from tests.acceptance.panel import refused
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.topology.legs import Leg
from tests.topology.replication import NAMES, NEVER, Replication
from tests.topology.wiretap import listening

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

USUAL = "7.0"
LIVE = (USUAL, "6.2", "8.0", "valkey")
EACH = [pytest.param(x, marks=[] if x == USUAL else [pytest.mark.long]) for x in LIVE]


@pytest.mark.parametrize("kind", EACH)
def test_links_are_led_to_tls_and_back_while_somebody_writes(
    stage: Stage, leg: Leg, kind: str
) -> None:
    group = Replication(stage, kind)
    before = stage.photographs(*NAMES)
    assert group.links == [(str(PORT), "up")] * 2
    assert refused(stage.panel.try_install("primary", tls_replication="on")) == (
        "PrimaryNotEncrypted"
    )
    everybody_reads_along(group)

    with leg(group, "TLS beside plaintext", group.in_plaintext()):
        stage.panel.install("primary")
    assert refused(stage.panel.run("primary", "configure", {"plaintext": "off"})) == "PlainLinks"
    with leg(group, "everything TLS", group.in_plaintext()):
        told = group.configured(tls_replication="on")
    assert group.links == [(str(TLS_PORT), "up")] * 2
    assert sum("over TLS" in text for text in told) >= 2
    with leg(group, "TLS alone", group.over_tls()):
        group.configured(plaintext="off")
    assert ping_plainly(stage.address("primary")) == "ConnectionRefusedError"
    assert group.links == [(str(TLS_PORT), "up")] * 2
    nobody_reads_along(group, TLS_PORT)

    with leg(group, "plaintext for clients again", group.over_tls()):
        group.configured(plaintext="keep")
    with leg(group, "plain links again", group.in_plaintext()):
        group.configured(tls_replication="off")
    assert group.links == [(str(PORT), "up")] * 2

    with leg(group, "links, then TLS on the plain number", group.over_tls()):
        group.configured(tls_replication="on")
        group.configured(plaintext="off", tls_port=str(PORT))
    assert group.links == [(str(PORT), "up")] * 2
    nobody_reads_along(group, PORT)
    with leg(group, "uninstalled", group.over_tls(PORT)):
        stage.panel.uninstall("primary")
    assert group.links == [(str(PORT), "up")] * 2
    assert stage.trace(before) == {}


def everybody_reads_along(group: Replication) -> None:
    with listening(group.stage.address("primary")) as heard:
        group.in_plaintext().set("place", "marked-before")
        group.wait_for("marked-before")
    # By the client, and by the primary to two replicas.
    assert sum(b"marked-before" in frame for frame in heard.frames) > 2


def nobody_reads_along(group: Replication, port: int) -> None:
    with listening(group.stage.address("primary")) as heard:
        group.over_tls(port).set("place", "marked-after")
        group.wait_for("marked-after")
    assert len(heard.frames) > 10
    assert b"marked-after" not in heard


@pytest.mark.long
def test_where_it_takes_restarts_nothing_is_lost_and_full_resyncs_are_counted(
    stage: Stage, leg: Leg
) -> None:
    group = Replication(stage, "6.0")
    before = stage.photographs(*NAMES)
    with leg(group, "TLS beside plaintext", group.in_plaintext(retry=NEVER), restarts=True):
        assert one_after_the_other(stage.panel.install("primary")) == [*NAMES[1:], "primary"]
    with leg(group, "everything TLS", group.in_plaintext(retry=NEVER), restarts=True):
        group.configured(tls_replication="on")
    assert group.links == [(str(TLS_PORT), "up")] * 2
    with leg(group, "TLS alone", group.over_tls(), restarts=True):
        group.configured(plaintext="off")
    assert group.links == [(str(TLS_PORT), "up")] * 2
    nobody_reads_along(group, TLS_PORT)
    with leg(group, "plaintext for clients again", group.over_tls(), restarts=True):
        group.configured(plaintext="keep")
    with leg(group, "uninstalled", group.in_plaintext(retry=NEVER), restarts=True):
        stage.panel.uninstall("primary", apply="restart")
    assert group.links == [(str(PORT), "up")] * 2
    assert stage.trace(before) == {}


def one_after_the_other(run: Run) -> list[str]:
    """Which nodes were changed, each proven before the next was begun."""
    records = run.records.filter(kind__in=["before", "verified"]).select_related("node")
    names = [record.node.name for record in records if record.node]
    return [name for name, _ in groupby(names)]
