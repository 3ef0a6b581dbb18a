"""What an operator changes by hand is seen at the next look; a repair leads exactly back.

On one kind of node in the usual run; on every server and every firewall in the long one.
"""

import pytest

from addons.runs.drive import run_drive
from addons.runs.services import run_confirm
from addons.watch.services import drift_accept
from tests.acceptance.drifting import Watched, condition, differences
from tests.acceptance.panel import ANNA, refused, succeeded, unchanged
from tests.acceptance.photograph import config_of
from tests.acceptance.stage import Stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

EVERYWHERE = [
    *("legacy", "six-two", "trixie", "valkey"),
    *("ufw", "firewalld", "ufw-legacy", "firewalld-new", "etcconf"),
]
RUNNING = "the running server"


@pytest.fixture(
    scope="module", params=["cache", *(pytest.param(n, marks=pytest.mark.long) for n in EVERYWHERE)]
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def watched(stage: Stage, name: str) -> Watched:
    return Watched(stage, name)


def test_each_change_by_hand_is_shown_exactly_and_repaired_exactly(watched: Watched) -> None:
    row = watched.observe()
    assert (row.health, differences(row)) == ("ok", {})
    changes = {
        f"sed -i 's/^tls-port .*/tls-port 6390/' {watched.file}": {
            watched.file: ["-tls-port 6390", "+tls-port 6380"]
        },
        **watched.without_rule(),
        watched.config_set("tls-auth-clients", "no"): {
            RUNNING: ["-tls-auth-clients no", "+tls-auth-clients optional"]
        },
    }
    for script, wanted in changes.items():
        before = watched.photograph()
        watched.by_hand(script)
        row = watched.observe()

        assert differences(row) == wanted, script
        assert (row.health, condition(row, "AsWanted")["reason"]) == ("bad", "Drift")

        watched.repair()

        assert watched.trace(before) == [], script
        row = watched.observe()
        assert (row.health, differences(row)) == ("ok", {}), script
    assert unchanged(watched.stage.panel.run(watched.name, "install", {}))
    watched.uninstall()


def test_a_key_that_was_opened_or_changed_is_replaced_with_its_certificate(
    watched: Watched,
) -> None:
    key, group = watched.key, watched.group
    kept = f"+server/server.key 640 root:{group}"
    changes = {
        f"chmod 644 {key}": [f"-server/server.key 644 root:{group}", kept],
        f"chown {group}:{group} {key}": [f"-server/server.key 640 {group}:{group}", kept],
        # The server has it loaded, and could not read it again.
        f"chown root:root {key}": ["-server/server.key 640 root:root", kept],
        f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | tee {key}": [
            "-server/server.key another key",
            "+server/server.key of {fingerprint}",
        ],
    }
    for script, wanted in changes.items():
        before, fingerprint = watched.photograph(), watched.fingerprint
        watched.by_hand(script)
        row = watched.observe()

        expected = [line.format(fingerprint=fingerprint) for line in wanted]
        assert differences(row) == {watched.tls: expected}, script
        assert condition(row, "Encrypted")["status"] == "true"

        watched.repair()

        watched.assert_new_pair(fingerprint)
        assert [text for text in watched.trace(before) if watched.tls not in text] == [], script
        modes = watched.by_hand(f"stat -c '%U:%G %a' {key}")
        assert modes.strip() == f"root:{group} 640"
    watched.uninstall()


def test_certificates_that_were_deleted_under_a_running_server_come_again(
    watched: Watched,
) -> None:
    bare = watched.photograph_without_addon
    every = [
        "+server/server.crt",
        *("+server/server.key", "+server/root.crt"),
        *("+client/client.crt", "+client/client.key", "+client/root.crt"),
    ]
    no_pair = [
        "-server/server.crt no certificate",
        "+server/server.crt issued by the panel",
        "-client/client.crt no certificate",
        "+client/client.crt issued by the panel",
        "-server/root.crt no authority",
        "+server/root.crt of this environment",
        "-client/root.crt no authority",
        "+client/root.crt of this environment",
    ]
    changes = {
        f"rm -rf {watched.tls}": every,
        f"rm {watched.tls}/server": every,
        f"rm -rf {watched.tls}/generations": no_pair,
        f"rm {watched.tls}/server/server.crt": no_pair[:2],
        f"rm {watched.key}": ["-server/server.key no key", "+server/server.key of {fingerprint}"],
        f"rm {watched.tls}/client/root.crt": no_pair[-2:],
    }
    for script, wanted in changes.items():
        before, fingerprint = watched.photograph(), watched.fingerprint
        watched.by_hand(script)
        row = watched.observe()

        expected = [line.format(fingerprint=fingerprint) for line in wanted]
        assert differences(row) == {watched.tls: expected}, script
        # What it has loaded it serves on.
        assert condition(row, "Encrypted")["status"] == "true", script

        watched.repair()

        watched.assert_new_pair(fingerprint)
        assert [text for text in watched.trace(before) if watched.tls not in text] == [], script
    watched.uninstall()
    assert watched.trace(bare) == []


def test_a_certificate_replaced_by_hand_is_found_by_handshake(watched: Watched) -> None:
    watched.observe()
    watched.by_hand(watched.another_pair_loaded())
    theirs = watched.fingerprint
    row = watched.observe()

    assert row.observed["fingerprint"] == theirs
    assert condition(row, "Encrypted")["reason"] == "ChainInvalid"
    assert differences(row) == {
        watched.tls: [f"-server/server.crt {theirs}", "+server/server.crt issued by the panel"]
    }

    watched.repair()
    ours = watched.fingerprint
    assert watched.observe().observed["fingerprint"] == ours
    # Loaded, and the files put back: now only the wire tells.
    before = watched.photograph()
    watched.by_hand(watched.another_pair_loaded(kept=True))
    row = watched.observe()

    served = row.observed["fingerprint"]
    assert served not in {ours, theirs}
    assert differences(row) == {
        RUNNING: [f"-served certificate {served}", f"+{watched.certificate} {ours}"]
    }

    watched.repair()

    row = watched.observe()
    assert (row.health, row.observed["fingerprint"]) == ("ok", ours)
    assert watched.trace(before) == []
    watched.uninstall()


def accept(watched: Watched) -> dict[str, str]:
    """Take what was found for wanted; return the settings then."""
    node = watched.stage.panel.nodes[watched.name]
    run = drift_accept(actor=ANNA, group=node.group, addon="encryption", node=node.pk)
    run_drive(run=run.pk)
    run.refresh_from_db()
    run_confirm(actor=ANNA, run=run)
    run_drive(run=run.pk)
    run.refresh_from_db()
    return dict(succeeded(run).spec)


def test_an_accepted_change_becomes_the_wanted_one(watched: Watched) -> None:
    watched.by_hand(watched.config_set("tls-auth-clients", "no"))
    before, file = watched.photograph(), watched.lines()
    watched.observe()

    assert accept(watched)["tls_auth_clients"] == "no"

    row = watched.observe()
    assert (row.health, row.installation.spec["tls_auth_clients"]) == ("ok", "no")
    lab = watched.stage.lab
    assert config_of(lab, watched.name, "tls-auth-clients") == {"tls-auth-clients": "no"}
    assert set(watched.lines()) ^ set(file) == {"tls-auth-clients optional", "tls-auth-clients no"}
    assert [text for text in watched.trace(before) if watched.file not in text] == []
    watched.uninstall()


def test_a_line_that_was_deleted_comes_again(watched: Watched) -> None:
    bare, before, file = watched.photograph_without_addon, watched.photograph(), watched.lines()
    watched.by_hand(f"sed -i '/^tls-auth-clients /d' {watched.file}")
    row = watched.observe()

    assert differences(row) == {watched.file: ["+tls-auth-clients optional"]}

    watched.repair()

    row = watched.observe()
    assert (row.health, differences(row)) == ("ok", {})
    assert sorted(watched.lines()) == sorted(file)
    assert [text for text in watched.trace(before) if watched.file not in text] == []
    watched.uninstall()
    assert watched.trace(bare) == []


def test_a_port_that_nobody_accepted_keeps_an_uninstall_from_leaving_it_alone(
    watched: Watched,
) -> None:
    bare = watched.photograph_without_addon
    watched.by_hand(f"sed -i 's/^tls-port .*/tls-port 6390/' {watched.file}")

    run = watched.stage.panel.run(watched.name, "uninstall", {})

    assert refused(run) == "TlsPortChanged"
    watched.repair()
    watched.uninstall()
    assert watched.trace(bare) == []


def test_an_accepted_port_takes_its_rule_along(watched: Watched) -> None:
    bare = watched.photograph_without_addon
    watched.by_hand(watched.listen_on(6390))
    before, fingerprint = watched.photograph(), watched.fingerprint
    row = watched.observe()

    assert differences(row) == {
        watched.file: ["-tls-port 6390", "+tls-port 6380"],
        RUNNING: ["-tls-port 6390", "+tls-port 6380"],
    }
    assert condition(row, "Encrypted")["status"] == "false"

    assert accept(watched)["tls_port"] == 6390

    row = watched.observe()
    assert (row.health, differences(row)) == ("ok", {})
    assert watched.stage.speaks_tls(watched.name, port=6390)
    assert watched.fingerprint == fingerprint
    firewall = ("firewall: ", *watched.firewall_files)
    assert [t for t in watched.trace(before) if not any(each in t for each in firewall)] == []
    watched.uninstall()
    assert watched.trace(bare) == []


def test_a_node_out_of_reach_is_unknown_and_what_was_seen_stays(watched: Watched) -> None:
    seen = watched.observe()
    watched.by_hand(f"systemctl stop {watched.service}")
    row = watched.observe()

    assert (row.health, condition(row, "Reached")["status"]) == ("bad", "false")

    watched.by_hand(f"systemctl start {watched.service}")
    seen = watched.observe()
    assert seen.health == "ok"
    watched.stage.lab.cut(watched.name)
    try:
        row = watched.observe()
    finally:
        watched.stage.lab.mend(watched.name)

    assert (row.health, condition(row, "Reached")["status"]) == ("unknown", "unknown")
    assert (row.observed, row.observed_at) == (seen.observed, seen.observed_at)
    assert condition(row, "Encrypted") == condition(seen, "Encrypted")
    assert watched.observe().health == "ok"
    watched.uninstall()
