"""From where a node can be reached: bind, protected mode, networks, and all of it over a reboot."""

import pytest

from instances.nodeconf.firewall.firewalld import priority
from lab import Lab
from tests.acceptance.outside import ping_plainly, reachable
from tests.acceptance.panel import said, unchanged, verified_from, warnings
from tests.acceptance.photograph import cli, shell
from tests.acceptance.stage import Stage, at_once

pytestmark = pytest.mark.lab


LOOPBACK = pytest.mark.parametrize(
    "names",
    [
        pytest.param(["stock", "stock-ufw"], id="nftables-ufw"),
        pytest.param(["stock-legacy", "stock-firewalld"], id="others", marks=pytest.mark.long),
    ],
)
BACKENDS = pytest.mark.parametrize(
    "names",
    [
        pytest.param(["cache", "ufw", "firewalld"], id="nftables-ufw-firewalld"),
        pytest.param(
            ["legacy", "ufw-legacy", "firewalld-new"], id="others", marks=pytest.mark.long
        ),
    ],
)


@LOOPBACK
def test_bind_node_opens_tls_and_not_the_plain_port_over_a_reboot_too(
    names: list[str], stage: Stage
) -> None:
    stage.register(*names)
    before = stage.photographs(*names)
    assert {ping_plainly(stage.address(name)) for name in names} == {"ConnectionRefusedError"}

    run = stage.panel.install(names[0], bind="node", protected_mode="no")

    assert verified_from(run) == dict.fromkeys(names, "the panel")
    assert "PlainPortExposed" in warnings(run)
    for moment in ("installed", "rebooted"):
        exposed = at_once(lambda name: reachable(stage.address(name), 6379), names)
        assert exposed == [False] * len(names), (moment, names)
        for name in names:
            assert stage.speaks_tls(name), (moment, name)
            assert cli(stage.lab, name, "PING").strip() == "PONG", (moment, name)
            assert _has_rule(stage, name, f"{stage.panel.tag(name)}plain"), (moment, name)
        assert unchanged(stage.panel.install(names[0])), moment
        if moment == "installed":
            stage.reboot(*names)

    stage.panel.uninstall(names[0])

    assert stage.trace(before) == {}
    assert {ping_plainly(stage.address(name)) for name in names} == {"ConnectionRefusedError"}


def _has_rule(stage: Stage, name: str, tag: str) -> bool:
    """Whether a rule in force carries the tag; ufw and firewalld show theirs only when asked."""
    listed = {
        "ufw": "ufw show added",
        "firewalld": "firewall-cmd --list-rich-rules",
        "iptables": "iptables-save",
        "nftables": "nft list ruleset",
    }
    backend = stage.hosts[name].firewall
    mark = f'priority="{priority(tag)}"' if backend == "firewalld" else tag
    return mark in shell(stage.lab, name, listed[backend])


@BACKENDS
def test_tls_is_served_and_let_in_after_a_reboot(names: list[str], stage: Stage) -> None:
    stage.register(*names)
    before = stage.photographs(*names)
    stage.panel.install(names[0])

    stage.reboot(*names)

    assert [name for name in names if not stage.speaks_tls(name)] == []
    assert {stage.ping(name) for name in names} == {"+PONG"}
    assert unchanged(stage.panel.install(names[0]))
    stage.panel.uninstall(names[0])
    assert stage.trace(before) == {}
    stage.reboot(*names)
    assert stage.trace(before) == {}
    assert {stage.ping(name) for name in names} == {"+PONG"}


def test_bind_node_leaves_a_plain_port_that_has_a_password_open(stage: Stage) -> None:
    stage.register("withpass")

    run = stage.panel.install("withpass", bind="node")

    assert stage.ping("withpass") == "+PONG"
    assert "drop" not in " ".join(said(run, "applied"))
    stage.panel.uninstall("withpass")


@BACKENDS
def test_networks_without_the_panel_are_verified_on_the_node(
    names: list[str], stage: Stage
) -> None:
    stage.register(*names)
    before = stage.photographs(*names)

    run = stage.panel.install(names[0], networks=f"{stage.address('trixie')}/32")

    assert verified_from(run) == dict.fromkeys(names, "the node")
    reasons = {stage.panel.installed(name).conditions[0]["reason"] for name in names}
    assert reasons == {"VerifiedOnNode"}
    root = stage.root.read_bytes()

    def seen(name: str) -> tuple[bool, str, str, str]:
        address = stage.address(name)
        allowed, barred = (_ping_from(stage.lab, c, address, root) for c in ("trixie", "valkey"))
        return reachable(address, 6380), stage.ping(name), allowed, barred

    assert set(at_once(seen, names)) == {(False, "+PONG", "PONG", "")}
    assert unchanged(stage.panel.install(names[0]))

    stage.panel.install(names[0], networks="anywhere")

    assert [name for name in names if not stage.speaks_tls(name)] == []
    stage.panel.uninstall(names[0])
    assert stage.trace(before) == {}


def _ping_from(lab: Lab, client: str, address: str, root: bytes) -> str:
    """What a client on another node is answered to PING over TLS; nothing where it is kept out."""
    script = (
        "trap 'rm -f /run/root.$$' EXIT; cat >/run/root.$$; "
        "cli=$(command -v redis-cli || command -v valkey-cli); "
        'timeout 3 "$cli" -h "$1" -p 6380 --tls --cacert /run/root.$$ PING 2>/dev/null'
    )
    done = lab.exec(client, ["bash", "-c", script, "ping", address], input=root)
    return done.stdout.decode().strip()
