"""New certificates, swapped live under clients that speak TLS all the while."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from django.utils import timezone

from addons.models import Certificate
from tests.acceptance.clients import clients
from tests.acceptance.panel import refused, said, succeeded, warnings
from tests.acceptance.photograph import cli
from tests.acceptance.stage import STAYS_IN_6_2, Stage, at_once

pytestmark = pytest.mark.lab

logger = logging.getLogger(__name__)

EACH = 13
"""Of four sorts that stay: with the one that reconnects more than fifty connections a server."""


def _started(stage: Stage, name: str) -> str:
    """What tells a start of the server from the next one."""
    lines = cli(stage.lab, name, "INFO", "server").splitlines()
    return next(line for line in lines if line.startswith("run_id:"))


def _reissue_under_load(stage: Stage, names: Sequence[str], times: int) -> None:
    stage.register(*names)
    before = stage.photographs(*names)
    stage.panel.install(names[0])
    started = at_once(lambda name: _started(stage, name), names)
    options = ("--root", str(stage.root), "--each", str(EACH), "--pause", "0.1")

    with ExitStack() as stack:
        reports = [stack.enter_context(clients(stage.address(n), *options)) for n in names]
        for _ in range(times):
            stage.panel.reissue(names[0])

    for name, (report,) in zip(names, reports, strict=True):
        logger.info("%s: %s", name, {key: report[key] for key in ("keys", "connections")})
        assert report["problems"] == [], name
        assert report["keys"] > 500, name
        assert len(report["serials"]) == times + 1, f"{name}: the installed one, and each new one"
        issued = Certificate.objects.filter(node__name=name, purpose="server").order_by("pk")
        assert [int(each.serial, 16) for each in issued] == [int(s, 16) for s in report["serials"]]
        assert [each.state for each in issued] == ["replaced"] * times + ["serving"], name
    assert at_once(lambda name: _started(stage, name), names) == started
    at_once(lambda name: cli(stage.lab, name, "FLUSHALL"), names)
    stage.panel.uninstall(names[0], apply="live")
    assert stage.trace(before, but=STAYS_IN_6_2) == {}


def test_no_client_notices_three_re_issues(stage: Stage) -> None:
    _reissue_under_load(stage, ["cache", "legacy"], 3)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_no_client_notices_ten_re_issues_on_any_version(stage: Stage) -> None:
    _reissue_under_load(stage, ["legacy", "six-two", "cache", "trixie", "valkey"], 10)


def test_a_preview_names_what_is_there_and_what_will_be(stage: Stage) -> None:
    stage.register("cache")
    stage.panel.install("cache", lifetime_days="30")
    present = Certificate.objects.get(purpose="server")

    run = stage.panel.run("cache", "reissue", {}, confirmed=False)

    assert run.state == "previewed", run.failure
    shown = [line for change in run.nodes.get().preview["changes"] for line in change["lines"]]
    address = stage.address("cache")
    gone = next(line["text"] for line in shown if line["kind"] == "del")
    assert gone == (
        f"server/server.crt  serial {present.serial}, until {present.not_after:%Y-%m-%d}"
    )
    new = next(line["text"] for line in shown if line["kind"] == "add")
    assert new == f"server/server.crt  a new serial, for {address}, 30 days"
    assert not Certificate.objects.exclude(run=present.run).exists()
    stage.panel.uninstall("cache")


def test_a_re_issue_keeps_the_settings_and_the_way_back(stage: Stage) -> None:
    stage.register("cache")
    stage.panel.install("cache")
    installed = stage.panel.installed("cache")
    wanted = installed.installation.spec, installed.installation.generation

    # As a retry would, with the settings of its time.
    succeeded(stage.panel.run("cache", "reissue", {"tls_port": "7443", "lifetime_days": "1"}))

    renewed = stage.panel.installed("cache")
    assert (renewed.installation.spec, renewed.installation.generation) == wanted
    assert renewed.baseline == installed.baseline
    assert renewed.observed_generation == wanted[1]
    assert renewed.observed["fingerprint"] != installed.observed["fingerprint"]
    assert renewed.not_after is not None
    assert (renewed.not_after - timezone.now()).days > 300
    stage.panel.uninstall("cache")


def test_a_server_that_would_not_serve_it_is_refused(stage: Stage) -> None:
    stage.register("cache")
    stage.panel.install("cache")
    cli(stage.lab, "cache", "CONFIG", "SET", "tls-port", "7443")
    assert refused(stage.panel.run("cache", "reissue", {})) == "ServerDiffers"
    cli(stage.lab, "cache", "CONFIG", "SET", "tls-port", "6380")

    stage.panel.register(stage.hosts["trixie"], group="cache")
    before = stage.photographs("cache", "trixie")
    assert refused(stage.panel.run("cache", "reissue", {})) == "NotInstalledHere"
    assert stage.trace(before) == {}
    stage.panel.uninstall("cache")


def test_who_may_not_set_settings_has_the_server_restarted(stage: Stage) -> None:
    stage.register("cache")
    stage.panel.install("cache")
    started = _started(stage, "cache")
    cli(stage.lab, "cache", "ACL", "SETUSER", "default", "-config|set")

    preview = stage.panel.run("cache", "reissue", {}, confirmed=False)
    run = stage.panel.reissue("cache")

    assert "NoPermission" in warnings(preview)["NeedsRestart"]
    assert any("interrupted for about" in text for text in said(run, "applied"))
    assert _started(stage, "cache") != started
    stage.panel.uninstall("cache")
