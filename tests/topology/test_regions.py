"""Two environments that share an authority form one cluster, and each is led by itself."""

import pytest
from django.utils import timezone

from addons.models import Run
from instances.models import NodeGroup
from instances.nodeconf.topology.encrypted import Wire
from panel.pages.topology import topology_page
from tests.acceptance.outside import ping_plainly
from tests.acceptance.panel import refused, succeeded, unchanged
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.topology.cluster import NAMES, PRIMARIES, REPLICAS
from tests.topology.legs import Leg
from tests.topology.regions import ABROAD, Regions
from tests.topology.test_cluster import nobody_reads_along, over_tls

pytestmark = [
    pytest.mark.lab,
    pytest.mark.topology,
    pytest.mark.long,
    pytest.mark.timeout(600),
]

HERE, THERE = PRIMARIES[0], REPLICAS[0]


def test_two_environments_form_one_cluster_over_tls_and_each_is_led_by_itself(
    stage: Stage, leg: Leg
) -> None:
    cluster = Regions(stage, "7.0")
    before = stage.photographs(*NAMES)
    stage.panel.install(HERE, tls_cluster="on")
    cluster.share()
    cluster.abroad.install(THERE, tls_cluster="on")
    cluster.meet()
    assert cluster.followed == {TLS_PORT}
    nobody_reads_along(cluster)
    each_sees_the_whole()

    with leg(cluster, "other certificates here and abroad", over_tls(cluster)):
        stage.panel.reissue(HERE)
        cluster.abroad.reissue(THERE)
    with leg(cluster, "TLS 1.3 alone, here", over_tls(cluster)):
        cluster.configured(tls_minimum="1.3")
    with leg(cluster, "TLS alone, abroad", over_tls(cluster)):
        succeeded(cluster.abroad.run(THERE, "configure", {"plaintext": "off"}))
    assert ping_plainly(stage.address(THERE)) == "ConnectionRefusedError"
    with leg(cluster, "TLS on the plain number, here", over_tls(cluster)):
        cluster.configured(plaintext="off", tls_port=str(PORT))
    assert cluster.followed == {PORT}, "those abroad follow to the new port"
    nobody_reads_along(cluster, port=PORT)
    # A repair of what is well changes nothing.
    assert unchanged(cluster.abroad.run(THERE, "configure", {}))

    cluster.look()
    cuts_nobody_off(stage.panel.run(HERE, "uninstall", {}), REPLICAS, ABROAD)
    cuts_nobody_off(cluster.abroad.run(THERE, "uninstall", {}), PRIMARIES, "acceptance")

    cluster.part()
    stage.panel.uninstall(HERE)
    cluster.abroad.uninstall(THERE)
    assert stage.trace(before) == {}


def test_nodes_that_come_later_get_tls_first_and_join_over_it(stage: Stage) -> None:
    cluster = Regions(stage, "7.0")
    before = stage.photographs(*NAMES)
    stage.panel.install(HERE, tls_cluster="on")
    cluster.known_to(stage.panel)
    told = cluster.configured()
    assert sum("it has met no other node of a cluster yet" in text for text in told) == 3
    cluster.meet()
    assert cluster.followed == {TLS_PORT}
    assert unchanged(stage.panel.run(HERE, "configure", {}))
    nobody_reads_along(cluster)
    stage.panel.uninstall(HERE)
    assert cluster.followed == {PORT}
    since = ("replicaof", "slaveof")
    assert stage.trace(before, but=dict.fromkeys(REPLICAS, since)) == {}


def each_sees_the_whole() -> None:
    for group in NodeGroup.objects.filter(name="fleet"):
        page = topology_page(group, timezone.now())
        assert (page.strangers, page.neighbours, page.addable) == (0, 3, [])
        assert page.topology.bus is not None
        assert page.topology.bus.encrypted.wire is Wire.TLS


def cuts_nobody_off(run: Run, names: tuple[str, ...], environment: str) -> None:
    assert refused(run) == "ClusterElsewhere"
    told = str(run.failure)
    assert all(f"{name} ({environment} / fleet)" in told for name in names), told
