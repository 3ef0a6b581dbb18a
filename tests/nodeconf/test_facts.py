"""Facts of nodes. The answers in tests/nodeconf/facts are real ones, of nodes of the lab.

Only the comments of redis.conf were taken out of them, for their size.
"""

import json
import subprocess
from pathlib import Path

import pytest

from instances.nodeconf.facts import (
    FactsError,
    NodeFacts,
    Program,
    facts_command,
    facts_script,
    parse_facts,
    to_public_json,
)
from instances.nodeconf.facts_firewall import firewall_facts
from instances.nodeconf.facts_parts import units
from instances.nodeconf.facts_script import parse_sections
from instances.nodeconf.facts_service import _program

ANSWERS = Path(__file__).parent / "facts"


def facts(name: str) -> NodeFacts:
    return parse_facts((ANSWERS / f"{name}.out").read_bytes())


@pytest.mark.parametrize(
    ("name", "os", "product", "version", "backend"),
    [
        ("bookworm-nftables", "12", "redis", (7, 0, 15), "nftables"),
        ("bookworm-ufw-stock-password", "12", "redis", (7, 0, 15), "ufw"),
        ("bullseye-iptables", "11", "redis", (6, 0, 16), "iptables"),
        ("trixie-valkey", "13", "valkey", (8, 1, 1), "nftables"),
        ("trixie-firewalld", "13", "redis", (8, 0, 2), "firewalld"),
    ],
)
def test_a_running_server_and_its_firewall_are_recognised(
    name: str, os: str, product: str, version: tuple[int, ...], backend: str
) -> None:
    seen = facts(name)
    assert (seen.os.id, seen.os.version_id) == ("debian", os)
    assert (seen.server.product, seen.server.version) == (product, version)
    assert seen.firewall.backend == backend
    assert seen.server.tls_supported is True
    assert seen.server.unit == f"{product}-server.service"
    assert (seen.server.unit_user, seen.server.unit_group) == (product, product)
    assert seen.server.config.path == f"/etc/{product}/{product}.conf"
    assert seen.server.config.mode == 0o640
    assert seen.server.config.directory_writable
    assert seen.server.exec_start[1] == seen.server.config.path
    assert (seen.server.port, seen.server.tls_port) == (6379, 0)
    assert seen.clock > 1_700_000_000
    assert seen.disk_free["/etc"].bytes > 0
    assert seen.addresses[0].ip.startswith("10.")
    listener = seen.listener(6379)
    assert listener is not None
    assert listener.pid == seen.server.pid
    assert {"openssl", "flock", "base64"} <= seen.tools


def test_stock_settings_and_a_password_are_read() -> None:
    server = facts("bookworm-ufw-stock-password").server
    assert server.bind == ("127.0.0.1", "-::1")
    assert server.protected_mode
    assert server.requires_password
    assert server.umask == 0o007


def test_a_firewalld_that_is_still_starting_owns_its_rules_already() -> None:
    sections = parse_sections((ANSWERS / "trixie-firewalld.out").read_bytes())
    known = units(sections)
    known["firewalld.service"]["ActiveState"] = "activating"
    assert firewall_facts(sections, known).backend == "firewalld"


def test_slow_firewalls_are_left_to_their_own_reading() -> None:
    assert not facts("bookworm-ufw-stock-password").firewall.complete
    assert not facts("trixie-firewalld").firewall.complete
    firewall = facts("bookworm-nftables").firewall
    assert firewall.complete
    assert firewall.texts.persistence == "enabled"
    assert firewall.texts.nft_json.startswith("{")


def test_a_server_that_is_down_and_without_tls_is_described_from_its_unit() -> None:
    seen = facts("bookworm-without-tls")
    assert seen.server.pid is None
    assert seen.server.active_state == "failed"
    assert seen.server.tls_supported is False
    assert seen.firewall.backend == "none"
    assert facts("stopped").server.active_state == "inactive"


def test_several_servers_are_named_and_none_is_guessed() -> None:
    with pytest.raises(FactsError, match=r"redis-server\.service, redis-server@second") as caught:
        facts("several")
    assert caught.value.reason == "SeveralServers"


def test_the_unit_the_configuration_or_an_alias_chooses() -> None:
    assert facts("several-unit").server.port == 6390
    assert facts("several-unit").server.unit == "redis-server@second.service"
    assert facts("several-config").server.unit == "redis-server.service"
    assert facts("alias").server.unit == "redis-server.service"
    assert facts("template-only").server.unit == "redis-server@second.service"
    assert len(facts("several-unit").processes) == 2


def test_symbolic_links_and_includes_with_globs_are_followed() -> None:
    server = facts("several-config").server
    assert server.config.path == "/etc/redis/redis.conf"
    assert server.config.target == "/etc/redis/real.conf"
    assert server.tree.value("timeout") == "30"
    assert server.tree.value("maxclients") == "100"
    assert str(server.tree.source("timeout")) == "/etc/redis/conf.d/nested.inc:1"
    assert server.renamed_commands == {"CONFIG": ""}
    assert server.config.includes["/etc/redis/my extra.conf"] == b"requirepass s3cret\xff\0x\n"


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("none", "NoServer", "No Redis or Valkey server runs here"),
        ("bad-unit", "NoServer", "There is no unit nonsense.service"),
        ("bad-config", "ConfigUnreadable", "/etc/redis/nowhere.conf is missing"),
    ],
)
def test_what_cannot_be_described_says_why(name: str, reason: str, message: str) -> None:
    with pytest.raises(FactsError, match=message) as caught:
        facts(name)
    assert caught.value.reason == reason


def test_a_garbled_or_truncated_answer_is_refused() -> None:
    answer = (ANSWERS / "bookworm-nftables.out").read_bytes()
    for garbled in (b"", b"Welcome!\n" + answer, answer[:5000], answer.replace(b"==end", b"==fin")):
        with pytest.raises(FactsError) as caught:
            parse_facts(garbled)
        assert caught.value.reason == "Garbled"


@pytest.mark.parametrize("path", sorted(ANSWERS.glob("*.out")), ids=lambda path: path.stem)
def test_what_is_stored_and_shown_holds_no_secret_and_no_ruleset(path: Path) -> None:
    try:
        seen = parse_facts(path.read_bytes())
    except FactsError:
        return
    for shown in (json.dumps(to_public_json(seen)), repr(seen)):
        assert "hunter2" not in shown
        assert "s3cret" not in shown
        assert "hook input" not in shown


def test_the_script_is_a_constant_and_gets_names_as_arguments() -> None:
    command = facts_command("redis-server@a b;$(x).service", "/etc/x y.conf", remembered="$(z)")
    assert command.argv[:2] == ("bash", "-c")
    assert command.argv[2] == facts_script()
    asked = ("facts", "redis-server@a b;$(x).service", "/etc/x y.conf", "$(z)")
    assert command.argv[3:] == asked


def test_a_program_that_is_remembered_is_not_asked_again() -> None:
    asked = Program("/usr/bin/redis-server:1:2:3:4", "redis", "7.0.15", True, "with TLS")
    sections = {("identity", ""): asked.identity.encode()}
    assert _program(sections, "/usr/bin/redis-server", asked) == asked
    assert asked.version == (7, 0, 15)
    other = {("identity", ""): b"/usr/bin/redis-server:1:2:3:5", ("tlsprobe", ""): b""}
    assert _program(other, "/usr/bin/redis-server", asked).tls_supported is None


def test_the_script_runs_on_this_machine_whatever_is_here() -> None:
    answer = subprocess.run(facts_command("no-such").argv, capture_output=True, check=True)
    with pytest.raises(FactsError) as caught:
        parse_facts(answer.stdout)
    assert caught.value.reason == "NoServer"
