"""Install and uninstall on every kind of server: TLS as a client sees it, then no trace."""

import pytest

from tests.acceptance.outside import reachable
from tests.acceptance.panel import said
from tests.acceptance.photograph import cli
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.lab

OPEN = ["cache", "legacy", "six-two", "trixie", "valkey", "etcconf", "withpass", "noforward"]
LOOPBACK = ["stock", "stock-legacy"]

# 6.2 and before refuse an empty certificate path, so it stays in the running server until its next
# restart; with tls-port 0 it is not looked at.
CANNOT_BE_UNSET = {"six-two": ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")}


@pytest.mark.parametrize("apply", ["live", "restart"])
@pytest.mark.parametrize("name", OPEN)
def test_tls_comes_and_goes_and_leaves_no_trace(name: str, apply: str, stage: Stage) -> None:
    stage.register(name)
    before = stage.photograph(name)

    stage.panel.install(name, apply=apply)

    assert stage.speaks_tls(name)
    assert stage.ping(name) == "+PONG"
    installed = stage.photograph(name)
    changed = " ".join(before.differences(installed))
    assert "server.key" in changed
    assert "firewall: " in changed
    assert "config: new ('tls-port', '6380')" in changed

    again = stage.panel.install(name)

    assert not said(again, "before", "applied", "undone")
    assert again.nodes.get().state == "unchanged"
    assert installed.differences(stage.photograph(name)) == []

    stage.panel.uninstall(name)

    but = CANNOT_BE_UNSET.get(name, ()) if apply == "live" else ()
    assert before.differences(stage.photograph(name), but=but) == []
    assert stage.ping(name) == "+PONG"
    assert not reachable(stage.address(name), 6380)


@pytest.mark.parametrize("apply", ["live", "restart"])
@pytest.mark.parametrize("name", LOOPBACK)
def test_a_server_on_loopback_is_encrypted_on_its_own_machine(
    name: str, apply: str, stage: Stage
) -> None:
    stage.register(name)
    before = stage.photograph(name)

    run = stage.panel.install(name, apply=apply)

    assert any("verified on the node" in text for text in said(run, "verified"))
    assert not said(stage.panel.install(name), "before", "applied")
    assert cli(stage.lab, name, "PING").strip() == "PONG"
    stage.panel.uninstall(name)
    assert before.differences(stage.photograph(name)) == []
