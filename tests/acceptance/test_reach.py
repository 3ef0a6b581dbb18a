"""From where a node can be reached: bind, protected mode, networks, and all of it over a reboot."""

from pathlib import Path

import pytest

from tests.acceptance.outside import ping_plainly, reachable
from tests.acceptance.panel import said, warnings
from tests.acceptance.photograph import cli, shell
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", ["stock", "stock-legacy"])
def test_bind_node_opens_tls_and_not_the_plain_port_over_a_reboot_too(
    name: str, stage: Stage
) -> None:
    stage.register(name)
    before = stage.photograph(name)
    address = stage.address(name)
    assert ping_plainly(address) == "ConnectionRefusedError"

    run = stage.panel.install(name, bind="node", protected_mode="no")

    assert any("verified from the panel" in text for text in said(run, "verified"))
    assert "PlainPortExposed" in warnings(run)
    for moment in ("installed", "rebooted"):
        assert stage.speaks_tls(name), moment
        assert not reachable(address, 6379), moment
        assert cli(stage.lab, name, "PING").strip() == "PONG", moment
        assert f"redoubt:encryption:{stage.panel.nodes[name].pk}:plain" in _rules(stage, name)
        assert not said(stage.panel.install(name), "before", "applied"), moment
        if moment == "installed":
            stage.lab.reboot(name)

    stage.panel.uninstall(name)

    assert before.differences(stage.photograph(name)) == []
    assert ping_plainly(address) == "ConnectionRefusedError"


def _rules(stage: Stage, name: str) -> str:
    return shell(stage.lab, name, "if command -v nft >/dev/null; then nft list ruleset; fi") + (
        shell(stage.lab, name, "if command -v iptables-save >/dev/null; then iptables-save; fi")
    )


@pytest.mark.parametrize("name", ["cache", "legacy"])
def test_tls_is_served_and_let_in_after_a_reboot(name: str, stage: Stage) -> None:
    stage.register(name)
    before = stage.photograph(name)
    stage.panel.install(name)

    stage.lab.reboot(name)

    assert stage.speaks_tls(name)
    assert stage.ping(name) == "+PONG"
    stage.panel.uninstall(name)
    stage.lab.reboot(name)
    assert before.differences(stage.photograph(name)) == []
    assert stage.ping(name) == "+PONG"


def test_bind_node_leaves_a_plain_port_that_has_a_password_open(stage: Stage) -> None:
    stage.register("withpass")

    run = stage.panel.install("withpass", bind="node")

    assert stage.ping("withpass") == "+PONG"
    assert "drop" not in " ".join(said(run, "applied"))
    stage.panel.uninstall("withpass")


@pytest.mark.parametrize("name", ["cache", "legacy"])
def test_networks_without_the_panel_are_verified_on_the_node(name: str, stage: Stage) -> None:
    stage.register(name)
    before = stage.photograph(name)

    run = stage.panel.install(name, networks=f"{stage.address('trixie')}/32")

    assert any("verified on the node" in text for text in said(run, "verified"))
    assert stage.panel.installed(name).conditions[0]["reason"] == "VerifiedOnNode"
    assert not reachable(stage.address(name), 6380)
    assert stage.ping(name) == "+PONG"
    assert _ping_from("trixie", name, stage) == "PONG"
    assert "PONG" not in _ping_from("valkey", name, stage)
    assert not said(stage.panel.install(name), "before", "applied")

    stage.panel.install(name, networks="anywhere")

    assert stage.speaks_tls(name)
    stage.panel.uninstall(name)
    assert before.differences(stage.photograph(name)) == []


def _ping_from(client: str, server: str, stage: Stage) -> str:
    """PING over TLS from another node."""
    script = (
        "cat >/run/root.crt; cli=$(command -v redis-cli || command -v valkey-cli); "
        'timeout 3 "$cli" -h "$1" -p 6380 --tls --cacert /run/root.crt PING; rm /run/root.crt'
    )
    done = stage.lab.exec(
        client,
        ["bash", "-c", script, "ping", stage.address(server)],
        input=Path(stage.root()).read_bytes(),
    )
    return done.stdout.decode().strip()
