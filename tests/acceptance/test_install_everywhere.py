"""Install and uninstall on every kind of server: TLS as a client sees it, then no trace."""

import pytest

from tests.acceptance.outside import reachable
from tests.acceptance.panel import unchanged, verified_from
from tests.acceptance.photograph import cli
from tests.acceptance.stage import STAYS_IN_6_2, Stage

pytestmark = pytest.mark.lab

OPEN = ["cache", "legacy", "six-two", "trixie", "valkey", "etcconf", "withpass", "noforward"]
LOOPBACK = ["stock", "stock-legacy"]


@pytest.mark.parametrize("apply", ["live", pytest.param("restart", marks=pytest.mark.long)])
def test_tls_comes_and_goes_and_leaves_no_trace(apply: str, stage: Stage) -> None:
    stage.register(*OPEN, *LOOPBACK)
    before = stage.photographs(*OPEN, *LOOPBACK)

    run = stage.panel.install("cache", apply=apply)

    assert verified_from(run) == dict.fromkeys(OPEN, "the panel") | dict.fromkeys(
        LOOPBACK, "the node"
    )
    assert [name for name in OPEN if not stage.speaks_tls(name)] == []
    assert {name: stage.ping(name) for name in OPEN} == dict.fromkeys(OPEN, "+PONG")
    assert {cli(stage.lab, name, "PING").strip() for name in LOOPBACK} == {"PONG"}
    for name, differences in stage.trace(before).items():
        changed = " ".join(differences)
        assert "server.key" in changed, name
        assert "firewall: " in changed, name
        assert "config: new ('tls-port', '6380')" in changed, name

    installed = stage.photographs(*OPEN, *LOOPBACK)
    assert unchanged(stage.panel.install("cache"))
    assert stage.trace(installed) == {}

    stage.panel.uninstall("cache")

    assert stage.trace(before, but=STAYS_IN_6_2 if apply == "live" else {}) == {}
    assert {name: stage.ping(name) for name in OPEN} == dict.fromkeys(OPEN, "+PONG")
    assert [name for name in OPEN if reachable(stage.address(name), 6380)] == []
