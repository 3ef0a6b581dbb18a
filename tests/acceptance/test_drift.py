"""What an operator changes by hand is seen at the next look; a repair leads exactly back."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from addons.models import NodeInstallation
from addons.runs.drive import run_drive
from addons.runs.services import run_confirm
from addons.watch.observe import nodes_observe
from addons.watch.services import drift_accept
from lab import Lab, LabNode
from tests.acceptance.panel import ANNA, succeeded, unchanged
from tests.acceptance.photograph import cli, config_of, shell
from tests.acceptance.stage import SPECS, Stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

NODE = "cache"
TLS = "/etc/redis/tls"
KEY = f"{TLS}/server/server.key"
CERTIFICATE = f"{TLS}/server/server.crt"
RUNNING = "the running server"
MADE_UP = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other "
    "-keyout /tmp/other.key -out /tmp/other.crt -days 30 2>/dev/null"
)
PUT = f"cat /tmp/other.crt >{CERTIFICATE}; cat /tmp/other.key >{KEY}; rm /tmp/other.*"
LOAD = f"redis-cli CONFIG SET tls-cert-file {CERTIFICATE}"


@pytest.fixture(scope="module")
def laboratory() -> Iterator[Lab]:
    """One node of its own: booting them all would take longer than the test."""
    lab = Lab(name=f"test-drift{os.environ.get('PYTEST_XDIST_WORKER', '')}")
    lab.down()
    try:
        lab.up([SPECS[NODE]])
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def hosts(laboratory: Lab) -> dict[str, LabNode]:
    return {node.name: node for node in laboratory.nodes()}


class Watched:
    """The node with the add-on on it, and an operator who changes things there."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        stage.register(NODE)
        stage.panel.install(NODE)

    def observe(self) -> NodeInstallation:
        nodes_observe(rows=[self.row.pk], asked_at=timezone.now())
        return self.row

    @property
    def row(self) -> NodeInstallation:
        return self.stage.panel.installed(NODE)

    def by_hand(self, script: str) -> None:
        shell(self.stage.lab, NODE, script)

    def repair(self) -> None:
        succeeded(self.stage.panel.run(NODE, "install", {}))

    @property
    def fingerprint(self) -> str:
        script = f"openssl x509 -in {CERTIFICATE} -noout -fingerprint -sha256"
        return shell(self.stage.lab, NODE, script).strip().partition("=")[2]


@pytest.fixture
def watched(stage: Stage) -> Watched:
    return Watched(stage)


def condition(row: NodeInstallation, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in row.conditions if each["type"] == kind)
    return found


def differences(row: NodeInstallation) -> dict[str, list[str]]:
    """The differing lines by place, signs first; nothing where the node is as wanted."""
    drifted = condition(row, "AsWanted")["status"] == "false"
    assert drifted == bool(row.drift)
    signs = {"del": "-", "add": "+"}
    return {
        each["place"]: [
            f"{signs[line['kind']]}{line['text'].strip()}"
            for line in each["lines"]
            if line["kind"] in signs
        ]
        for each in row.drift
    }


def test_each_change_by_hand_is_shown_exactly_and_repaired_exactly(watched: Watched) -> None:
    row = watched.observe()
    tag = watched.stage.panel.tag(NODE)
    rule = f'inet filter input: tcp dport 6380 accept comment "{tag}tls"'
    assert (row.health, differences(row)) == ("ok", {})
    changes = {
        "sed -i 's/^tls-port .*/tls-port 6390/' /etc/redis/redis.conf": {
            "/etc/redis/redis.conf": ["-tls-port 6390", "+tls-port 6380"]
        },
        "nft -a list chain inet filter input | sed -n 's/.*redoubt.*handle //p' | "
        "xargs nft delete rule inet filter input handle": {"nftables": [f"+{rule}"]},
        "redis-cli CONFIG SET tls-auth-clients no": {
            RUNNING: ["-tls-auth-clients no", "+tls-auth-clients optional"]
        },
    }
    for script, wanted in changes.items():
        before = watched.stage.photographs(NODE)
        watched.by_hand(script)
        row = watched.observe()

        assert differences(row) == wanted
        assert (row.health, condition(row, "AsWanted")["reason"]) == ("bad", "Drift")

        watched.repair()

        assert not watched.stage.trace(before)
        row = watched.observe()
        assert (row.health, differences(row)) == ("ok", {})
    assert unchanged(watched.stage.panel.run(NODE, "install", {}))
    watched.stage.panel.uninstall(NODE)


def test_a_key_that_was_opened_or_changed_is_replaced_with_its_certificate(
    watched: Watched,
) -> None:
    changes = {
        f"chmod 644 {KEY}": [
            "-server/server.key 644 root:redis",
            "+server/server.key 640 root:redis",
        ],
        f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | tee {KEY}": [
            "-server/server.key another key",
            "+server/server.key of {fingerprint}",
        ],
    }
    for script, wanted in changes.items():
        before, fingerprint = watched.stage.photographs(NODE), watched.fingerprint
        watched.by_hand(script)
        row = watched.observe()

        expected = [line.format(fingerprint=fingerprint) for line in wanted]
        assert differences(row) == {TLS: expected}
        assert condition(row, "Encrypted")["status"] == "true"

        watched.repair()

        row = watched.observe()
        assert (row.health, differences(row)) == ("ok", {})
        assert row.observed["fingerprint"] == watched.fingerprint != fingerprint
        assert _elsewhere(watched.stage.trace(before)) == []
        modes = shell(watched.stage.lab, NODE, f"stat -c '%U:%G %a' {KEY}")
        assert modes.strip() == "root:redis 640"
    watched.stage.panel.uninstall(NODE)


def _elsewhere(trace: dict[str, list[str]]) -> list[str]:
    """What changed outside the certificates' own directory."""
    return [text for told in trace.values() for text in told if TLS not in text]


def test_a_certificate_replaced_by_hand_is_found_by_handshake(watched: Watched) -> None:
    watched.observe()
    ours = watched.fingerprint
    watched.by_hand(f"{MADE_UP}; {PUT}; {LOAD}")
    theirs = watched.fingerprint
    row = watched.observe()

    assert row.observed["fingerprint"] == theirs
    assert condition(row, "Encrypted")["reason"] == "ChainInvalid"
    assert differences(row) == {
        TLS: [f"-server/server.crt {theirs}", "+server/server.crt issued by the panel"]
    }

    watched.repair()
    ours = watched.fingerprint
    assert watched.observe().observed["fingerprint"] == ours
    # Loaded, and the files put back: now only the wire tells.
    keep = f"cp {CERTIFICATE} /tmp/ours.crt; cp {KEY} /tmp/ours.key"
    back = f"cat /tmp/ours.crt >{CERTIFICATE}; cat /tmp/ours.key >{KEY}; rm /tmp/ours.*"
    watched.by_hand(f"{keep}; {MADE_UP}; {PUT}; {LOAD}; {back}")
    before = watched.stage.photographs(NODE)
    row = watched.observe()

    served = row.observed["fingerprint"]
    assert served not in {ours, theirs}
    assert differences(row) == {
        RUNNING: [f"-served certificate {served}", f"+{CERTIFICATE} {ours}"]
    }

    watched.repair()

    row = watched.observe()
    assert (row.health, row.observed["fingerprint"]) == ("ok", ours)
    assert not watched.stage.trace(before)
    watched.stage.panel.uninstall(NODE)


def test_an_accepted_change_becomes_the_wanted_one(watched: Watched) -> None:
    lab, node = watched.stage.lab, watched.stage.panel.nodes[NODE]
    cli(lab, NODE, "CONFIG", "SET", "tls-auth-clients", "no")
    watched.observe()

    run = drift_accept(actor=ANNA, group=node.group, addon="encryption", node=node.pk)
    run_drive(run=run.pk)
    run.refresh_from_db()
    run_confirm(actor=ANNA, run=run)
    run_drive(run=run.pk)
    run.refresh_from_db()

    assert succeeded(run).spec["tls_auth_clients"] == "no"
    row = watched.observe()
    assert (row.health, row.installation.spec["tls_auth_clients"]) == ("ok", "no")
    assert config_of(lab, NODE, "tls-auth-clients") == {"tls-auth-clients": "no"}
    assert "tls-auth-clients no" in shell(lab, NODE, "cat /etc/redis/redis.conf")
    watched.stage.panel.uninstall(NODE)


def test_a_node_out_of_reach_is_unknown_and_what_was_seen_stays(watched: Watched) -> None:
    seen = watched.observe()
    watched.by_hand("systemctl stop redis-server")
    row = watched.observe()

    assert (row.health, condition(row, "Reached")["status"]) == ("bad", "false")

    watched.by_hand("systemctl start redis-server")
    seen = watched.observe()
    assert seen.health == "ok"
    watched.stage.lab.cut(NODE)
    try:
        row = watched.observe()
    finally:
        watched.stage.lab.mend(NODE)

    assert (row.health, condition(row, "Reached")["status"]) == ("unknown", "unknown")
    assert (row.observed, row.observed_at) == (seen.observed, seen.observed_at)
    assert condition(row, "Encrypted") == condition(seen, "Encrypted")
    assert watched.observe().health == "ok"
    watched.stage.panel.uninstall(NODE)
