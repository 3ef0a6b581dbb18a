"""Install and uninstall on every kind of server: TLS as a client sees it, then no trace."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Lab, LabNode
from tests.acceptance.conftest import SPECS
from tests.acceptance.outside import answers_over_tls, ping_plainly, reachable
from tests.acceptance.panel import Panel, said
from tests.acceptance.photograph import Photograph, cli

pytestmark = pytest.mark.lab

Host = Callable[[str], LabNode]
Take = Callable[[str], Photograph]
Root = Callable[[], Path]

OPEN = ["cache", "legacy", "six-two", "trixie", "valkey", "etcconf", "withpass", "noforward"]
LOOPBACK = ["stock", "stock-legacy"]

# 6.2 and before refuse an empty certificate path, so it stays in the running server until its next
# restart; with tls-port 0 it is not looked at.
CANNOT_BE_UNSET = {"six-two": ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")}


@pytest.mark.parametrize("apply", ["live", "restart"])
@pytest.mark.parametrize("name", OPEN)
def test_tls_comes_and_goes_and_leaves_no_trace(
    name: str, apply: str, panel: Panel, host: Host, take: Take, root: Root
) -> None:
    address, password = host(name).address, SPECS[name].password or ""
    node = panel.register(host(name), password=password)
    assert not node.fault
    before = take(name)

    panel.install(name, apply=apply)

    assert answers_over_tls(address, root(), password=password)
    assert ping_plainly(address, password=password) == "+PONG"

    installed = take(name)
    again = panel.install(name)
    assert not said(again, "before", "applied", "undone")
    assert again.nodes.get().state == "unchanged"
    assert installed.differences(take(name)) == []

    panel.uninstall(name)

    but = CANNOT_BE_UNSET.get(name, ()) if apply == "live" else ()
    assert before.differences(take(name), but=but) == []
    assert ping_plainly(address, password=password) == "+PONG"
    assert not reachable(address, 6380)


@pytest.mark.parametrize("apply", ["live", "restart"])
@pytest.mark.parametrize("name", LOOPBACK)
def test_a_server_on_loopback_is_encrypted_on_its_own_machine(
    name: str, apply: str, panel: Panel, host: Host, take: Take, lab: Lab
) -> None:
    panel.register(host(name))
    before = take(name)

    run = panel.install(name, apply=apply)

    assert any("verified on the node" in text for text in said(run, "verified"))
    assert not said(panel.install(name), "before", "applied")
    assert cli(lab, name, "PING").strip() == "PONG"
    panel.uninstall(name)
    assert before.differences(take(name)) == []
