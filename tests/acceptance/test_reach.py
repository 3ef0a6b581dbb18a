"""From where a node can be reached: bind, protected mode, networks, and all of it over a reboot."""

import pytest

from tests.acceptance.outside import ping_plainly, reachable
from tests.acceptance.panel import said, unchanged, verified_from, warnings
from tests.acceptance.photograph import cli
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.lab


LOOPBACK = ["stock", "stock-legacy"]
BACKENDS = ["cache", "legacy"]


def test_bind_node_opens_tls_and_not_the_plain_port_over_a_reboot_too(stage: Stage) -> None:
    stage.register(*LOOPBACK)
    before = stage.photographs(*LOOPBACK)
    assert {ping_plainly(stage.address(name)) for name in LOOPBACK} == {"ConnectionRefusedError"}

    run = stage.panel.install("stock", bind="node", protected_mode="no")

    assert verified_from(run) == dict.fromkeys(LOOPBACK, "the panel")
    assert "PlainPortExposed" in warnings(run)
    for moment in ("installed", "rebooted"):
        for name in LOOPBACK:
            assert stage.speaks_tls(name), (moment, name)
            assert not reachable(stage.address(name), 6379), (moment, name)
            assert cli(stage.lab, name, "PING").strip() == "PONG", (moment, name)
            rules = " ".join(stage.photograph(name).firewall)
            assert f"{stage.panel.tag(name)}plain" in rules, (moment, name)
        assert unchanged(stage.panel.install("stock")), moment
        if moment == "installed":
            stage.reboot(*LOOPBACK)

    stage.panel.uninstall("stock")

    assert stage.trace(before) == {}
    assert {ping_plainly(stage.address(name)) for name in LOOPBACK} == {"ConnectionRefusedError"}


def test_tls_is_served_and_let_in_after_a_reboot(stage: Stage) -> None:
    stage.register(*BACKENDS)
    before = stage.photographs(*BACKENDS)
    stage.panel.install("cache")

    stage.reboot(*BACKENDS)

    assert [name for name in BACKENDS if not stage.speaks_tls(name)] == []
    assert {stage.ping(name) for name in BACKENDS} == {"+PONG"}
    stage.panel.uninstall("cache")
    stage.reboot(*BACKENDS)
    assert stage.trace(before) == {}
    assert {stage.ping(name) for name in BACKENDS} == {"+PONG"}


def test_bind_node_leaves_a_plain_port_that_has_a_password_open(stage: Stage) -> None:
    stage.register("withpass")

    run = stage.panel.install("withpass", bind="node")

    assert stage.ping("withpass") == "+PONG"
    assert "drop" not in " ".join(said(run, "applied"))
    stage.panel.uninstall("withpass")


def test_networks_without_the_panel_are_verified_on_the_node(stage: Stage) -> None:
    stage.register(*BACKENDS)
    before = stage.photographs(*BACKENDS)

    run = stage.panel.install("cache", networks=f"{stage.address('trixie')}/32")

    assert verified_from(run) == dict.fromkeys(BACKENDS, "the node")
    for name in BACKENDS:
        assert stage.panel.installed(name).conditions[0]["reason"] == "VerifiedOnNode"
        assert not reachable(stage.address(name), 6380)
        assert stage.ping(name) == "+PONG"
        assert _ping_from("trixie", name, stage) == "PONG"
        assert "PONG" not in _ping_from("valkey", name, stage)
    assert unchanged(stage.panel.install("cache"))

    stage.panel.install("cache", networks="anywhere")

    assert [name for name in BACKENDS if not stage.speaks_tls(name)] == []
    stage.panel.uninstall("cache")
    assert stage.trace(before) == {}


def _ping_from(client: str, server: str, stage: Stage) -> str:
    """PING over TLS from another node."""
    script = (
        "cat >/run/root.crt; cli=$(command -v redis-cli || command -v valkey-cli); "
        'timeout 3 "$cli" -h "$1" -p 6380 --tls --cacert /run/root.crt PING; rm /run/root.crt'
    )
    done = stage.lab.exec(
        client,
        ["bash", "-c", script, "ping", stage.address(server)],
        input=stage.root.read_bytes(),
    )
    return done.stdout.decode().strip()
