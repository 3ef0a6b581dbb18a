"""A cluster: everything over TLS, TLS alone, and back, while somebody writes."""

import pytest
from redis.cluster import RedisCluster

from tests.acceptance.outside import ping_plainly
from tests.acceptance.panel import refused, unchanged
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.topology.cluster import NAMES, PRIMARIES, REPLICAS, Cluster
from tests.topology.legs import Leg

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

USUAL = "7.0"
MODERN = ("8.0", "valkey")


def test_a_cluster_of_7_0_goes_over_and_back(stage: Stage, leg: Leg) -> None:
    cluster = Cluster(stage, USUAL)
    before = stage.photographs(*NAMES)
    assert refused(stage.panel.try_install(PRIMARIES[0])) == "ClusterRedirects"
    assert b"RCmb" in cluster.overheard()
    with leg(cluster, "everything TLS", cluster.knowing()):
        stage.panel.install(PRIMARIES[0], tls_cluster="on")
    assert cluster.followed == {TLS_PORT}
    nobody_reads_along(cluster)
    with leg(cluster, "TLS alone", over_tls(cluster)):
        cluster.configured(plaintext="off")
    assert ping_plainly(stage.address(PRIMARIES[0])) == "ConnectionRefusedError"
    nobody_reads_along(cluster)
    with leg(cluster, "uninstalled from there", over_tls(cluster)):
        stage.panel.uninstall(PRIMARIES[0])
    assert cluster.followed == {PORT}
    assert stage.trace(before) == {}


@pytest.mark.long
def test_what_was_just_taken_back_can_be_asked_for_again_at_once(stage: Stage) -> None:
    # Nodes of 7.0 make a link anew when they hear of another port, which takes seconds.
    cluster = Cluster(stage, USUAL)
    for _ in range(5):
        stage.panel.install(PRIMARIES[0], tls_cluster="on")
        assert cluster.followed == {TLS_PORT}
        stage.panel.uninstall(PRIMARIES[0])
        assert cluster.followed == {PORT}


@pytest.mark.long
@pytest.mark.parametrize("kind", MODERN)
def test_a_later_cluster_goes_state_by_state_all_the_way_and_back(
    stage: Stage, leg: Leg, kind: str
) -> None:
    cluster = Cluster(stage, kind)
    before = stage.photographs(*NAMES)
    assert b"RCmb" in cluster.overheard()
    with leg(cluster, "TLS beside plaintext", cluster.knowing()):
        stage.panel.install(PRIMARIES[0])
    assert cluster.followed == {PORT}
    over_tls(cluster).set("key-1", "1")
    reason = refused(stage.panel.run(PRIMARIES[0], "configure", {"plaintext": "off"}))
    assert reason == "PlainLinks"
    with leg(cluster, "everything TLS", cluster.knowing()):
        cluster.configured(tls_cluster="on")
    assert cluster.followed == {TLS_PORT}
    nobody_reads_along(cluster)
    with leg(cluster, "TLS alone", over_tls(cluster)):
        cluster.configured(plaintext="off")
    assert ping_plainly(stage.address(PRIMARIES[0])) == "ConnectionRefusedError"
    nobody_reads_along(cluster)
    with leg(cluster, "plaintext for clients again", over_tls(cluster)):
        cluster.configured(plaintext="keep")
    with leg(cluster, "the bus in plaintext again", cluster.knowing()):
        cluster.configured(tls_cluster="off")
    assert cluster.followed == {PORT}
    with leg(cluster, "uninstalled", cluster.knowing()):
        stage.panel.uninstall(PRIMARIES[0])
    assert stage.trace(before) == {}


@pytest.mark.long
@pytest.mark.parametrize("kind", [USUAL, *MODERN])
def test_tls_takes_the_plain_number_over_and_every_node_comes_back_from_a_restart(
    stage: Stage, leg: Leg, kind: str
) -> None:
    cluster = Cluster(stage, kind)
    before = stage.photographs(*NAMES)
    stage.panel.install(PRIMARIES[0], tls_cluster="on")
    with leg(cluster, "TLS on the plain number", over_tls(cluster)):
        cluster.configured(plaintext="off", tls_port=str(PORT))
    assert cluster.followed == {PORT}
    nobody_reads_along(cluster, port=PORT)
    for name in (*REPLICAS, *PRIMARIES):
        cluster.restart(name)
        cluster.wait_until_whole()
    assert unchanged(stage.panel.run(PRIMARIES[0], "configure", {}))
    nobody_reads_along(cluster, port=PORT)
    if kind == USUAL:
        # Later ones go back this way, state by state, in a test of their own.
        with leg(cluster, "plaintext on its number again", over_tls(cluster, PORT)):
            cluster.configured(plaintext="keep", tls_port=str(TLS_PORT))
        assert cluster.followed == {TLS_PORT}
    with leg(cluster, "uninstalled", cluster.knowing_now()):
        stage.panel.uninstall(PRIMARIES[0])
    assert cluster.followed == {PORT}
    # The port of the bus is chosen at a start; it is the one that it always was.
    assert stage.trace(before, but=dict.fromkeys(NAMES, ("cluster-port",))) == {}


def over_tls(cluster: Cluster, port: int = TLS_PORT) -> "RedisCluster[bytes]":
    return cluster.knowing(port=port, tls=True)


def nobody_reads_along(cluster: Cluster, *, port: int = TLS_PORT) -> None:
    """On the ports of clients, of replication and of the bus."""
    heard = cluster.overheard(lambda: over_tls(cluster, port).set("place", "marked-key"))
    assert len(heard.frames) > 50
    assert b"marked-key" not in heard
    assert b"RCmb" not in heard, "what each message of the bus begins with"


@pytest.mark.long
@pytest.mark.parametrize("kind", [USUAL, *MODERN])
def test_other_settings_can_be_changed_while_the_nodes_speak_tls(
    stage: Stage, leg: Leg, kind: str
) -> None:
    cluster = Cluster(stage, kind)
    stage.panel.install(PRIMARIES[0], tls_cluster="on")
    with leg(cluster, "TLS 1.3 alone", over_tls(cluster)):
        cluster.configured(tls_minimum="1.3")
    with leg(cluster, "other certificates", over_tls(cluster)):
        stage.panel.reissue(PRIMARIES[0])
    nobody_reads_along(cluster)


@pytest.mark.long
@pytest.mark.parametrize("kind", [USUAL, *MODERN])
def test_passwords_and_required_client_certificates_are_honoured(
    stage: Stage, leg: Leg, kind: str
) -> None:
    cluster = Cluster(stage, kind, password="swordfish")
    before = stage.photographs(*NAMES)
    with leg(cluster, "everything TLS, with a password", cluster.knowing()):
        stage.panel.install(PRIMARIES[0], tls_cluster="on", tls_auth_clients="required")
    assert cluster.followed == {TLS_PORT}
    assert b"RCmb" not in cluster.overheard()
    with leg(cluster, "uninstalled, with a password", cluster.knowing()):
        stage.panel.uninstall(PRIMARIES[0])
    assert cluster.followed == {PORT}
    assert stage.trace(before) == {}
