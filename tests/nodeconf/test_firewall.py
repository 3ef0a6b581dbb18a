"""Plans as data: tests/nodeconf/firewall/BACKEND/CASE holds what was read on a node, wanted.json,
and what is to be done about it (expected.json, and after/ with the files). The texts come from real
programs. `REDOUBT_WRITE_EXPECTED=1 pytest ...` writes the expected files anew: then read the diff.
"""

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from instances.nodeconf.command import Command
from instances.nodeconf.firewall import (
    BACKENDS,
    FirewallChange,
    FirewallTexts,
    FirewallUnreadableError,
    Rule,
)
from instances.nodeconf.firewall.firewalld import priority

ROOT = Path(__file__).parent / "firewall"
CASES = sorted(path.parent for path in ROOT.glob("*/*/wanted.json"))
BYTES = {"nftables_conf", "rules_v4", "rules_v6"}
FILES = {
    "/etc/nftables.conf": "nftables_conf",
    "/etc/iptables/rules.v4": "rules_v4",
    "/etc/iptables/rules.v6": "rules_v6",
}


def name(case: Path) -> str:
    return f"{case.parent.name}: {case.name.replace('-', ' ')}"


def facts_of(case: Path) -> FirewallTexts:
    read: dict[str, Any] = {}
    for one in fields(FirewallTexts):
        path = case / one.name
        if path.exists():
            content = path.read_bytes()
            read[one.name] = content if one.name in BYTES else content.decode()
    return FirewallTexts(**read)


def wanted_of(case: Path) -> tuple[list[Rule], list[str]]:
    asked = json.loads((case / "wanted.json").read_text())
    rules = [Rule(**{**r, "networks": tuple(r.get("networks", ()))}) for r in asked["wanted"]]
    return rules, asked.get("tags", [])


def shown(command: Command) -> dict[str, Any]:
    found: dict[str, Any] = {"argv": list(command.argv)}
    if isinstance(command.stdin, bytes):
        found["stdin"] = command.stdin.decode().splitlines()
    return found


def as_json(change: FirewallChange) -> dict[str, Any]:
    return {
        "commands": [shown(command) for command in change.commands],
        "describe": list(change.describe),
        "problems": list(change.problems),
        "warnings": list(change.warnings),
        "notes": list(change.notes),
        "files": sorted(change.files),
    }


def write(case: Path, change: FirewallChange) -> None:
    (case / "expected.json").write_text(json.dumps(as_json(change), indent=2) + "\n")
    for path, content in change.files.items():
        (case / "after").mkdir(exist_ok=True)
        (case / "after" / FILES[path]).write_bytes(content)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_plan_is_what_the_case_expects(case: Path) -> None:
    wanted, tags = wanted_of(case)
    change = BACKENDS[case.parent.name].plan(facts_of(case), wanted, tags)
    if os.environ.get("REDOUBT_WRITE_EXPECTED"):
        write(case, change)
    assert as_json(change) == json.loads((case / "expected.json").read_text())
    for path, content in change.files.items():
        assert content == (case / "after" / FILES[path]).read_bytes()


@pytest.mark.parametrize("case", CASES, ids=name)
def test_removing_what_was_planned_gives_the_files_back_byte_for_byte(case: Path) -> None:
    backend, before = BACKENDS[case.parent.name], facts_of(case)
    wanted, _ = wanted_of(case)
    tags = {rule.tag for rule in wanted}
    if any(backend.present(before, tag) for tag in tags):
        pytest.skip("starts with rules in place")
    change = backend.plan(before, wanted)
    after = replace(before, **{FILES[path]: text for path, text in change.files.items()})
    again = backend.plan(after, wanted)
    assert not again.files
    back = backend.remove(after, tags)
    assert set(back.files) == set(change.files)
    for path, content in back.files.items():
        assert content == getattr(before, FILES[path])


@pytest.mark.parametrize(
    ("field", "value"),
    [("tag", 'x" drop'), ("tag", ""), ("port", 0), ("networks", ("10.0.0.0/33",))],
)
def test_a_rule_that_no_firewall_could_carry_is_refused(field: str, value: object) -> None:
    arguments: dict[str, Any] = {"tag": "redoubt:encryption:12", "port": 6380, field: value}
    with pytest.raises(ValueError, match=r".+"):
        Rule(**arguments)


def test_an_answer_that_is_not_a_ruleset_is_not_taken_for_an_open_firewall() -> None:
    with pytest.raises(FirewallUnreadableError, match="nft -a -j list ruleset"):
        BACKENDS["nftables"].plan(FirewallTexts(), [Rule("redoubt:encryption:12", 6380)])


def test_a_leftover_of_an_earlier_installation_is_found_by_its_prefix() -> None:
    case = ROOT / "iptables" / "rules-of-an-earlier-installation-are-replaced"
    facts, backend = facts_of(case), BACKENDS["iptables"]
    assert backend.tags(facts, "redoubt:") == {"redoubt:encryption:3"}
    assert backend.satisfied(facts, [], "redoubt:").reason == "Differs"
    assert backend.satisfied(facts, [], "other:").satisfied


def test_the_priorities_that_mark_rich_rules_are_stable_and_come_before_every_deny() -> None:
    assert priority("redoubt:encryption:12") == -17408
    assert all(-32768 <= priority(f"redoubt:x:{n}") < 0 for n in range(1000))


def test_every_backend_says_what_it_reads() -> None:
    for backend in BACKENDS.values():
        assert all(isinstance(part, str) for c in backend.read_commands() for part in c.argv)


@pytest.mark.parametrize(
    ("case", "reason", "satisfied"),
    [
        ("nftables/a-default-drop-gets-a-rule-in-its-input-chain", "Differs", False),
        ("nftables/a-chain-that-iptables-owns-is-left-to-it", "OutOfReach", False),
        ("nftables/drops-for-other-ports-do-not-count", "NothingBlocks", True),
        ("ufw/an-inactive-ufw-blocks-nothing-and-closes-nothing", "OutOfReach", False),
    ],
)
def test_the_reason_says_why(case: str, reason: str, *, satisfied: bool) -> None:
    facts, (wanted, _) = facts_of(ROOT / case), wanted_of(ROOT / case)
    found = BACKENDS[case.split("/", maxsplit=1)[0]].satisfied(facts, wanted, "redoubt:")
    assert (found.reason, found.satisfied) == (reason, satisfied)
    assert found.message
