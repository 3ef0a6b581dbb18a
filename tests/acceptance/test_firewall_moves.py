"""An operator changes from one firewall to another between two runs."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from addons.encryption.steps import firewall
from addons.encryption.steps.firewall import FirewallRules
from addons.session import NodeSession
from instances.nodeconf.command import Command, Result
from instances.nodeconf.firewall import FirewallChange, FirewallTexts, Rule
from instances.nodeconf.firewall.none import NoFirewall
from tests.acceptance.outside import reachable
from tests.acceptance.panel import said, unchanged
from tests.acceptance.photograph import shell
from tests.acceptance.stage import Stage

OLD, NEW = Rule("redoubt:encryption:1:tls", 6380), Rule("redoubt:encryption:1:tls", 7443)


@dataclass
class MemoryBackend:
    """A firewall that is a set of ports."""

    name: str
    ports: set[int] = field(default_factory=set)

    def read_commands(self) -> tuple[Command, ...]:
        return ()

    def parse(self, results: Sequence[Result]) -> FirewallTexts:
        return FirewallTexts()

    def tags(self, facts: FirewallTexts, prefix: str) -> frozenset[str]:
        return frozenset()

    def plan(
        self, facts: FirewallTexts, wanted: Sequence[Rule], tags: Iterable[str] = ()
    ) -> FirewallChange:
        ports = {rule.port for rule in wanted}
        if ports == self.ports:
            return FirewallChange()
        argv = (self.name, json.dumps(sorted(ports)))
        return FirewallChange(commands=(Command(argv),), describe=(f"+ {self.name} {ports}",))


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[str, MemoryBackend]:
    found = {name: MemoryBackend(name) for name in ("nftables", "ufw")}
    monkeypatch.setattr(firewall, "BACKENDS", found | {"none": NoFirewall()})
    return found


def node(
    backends: dict[str, MemoryBackend], *tools: str, now: str = "ufw", begun: str = ""
) -> NodeSession:
    """A node with one firewall in force, and one that a killed attempt has met."""

    def run_all(commands: Sequence[Command]) -> list[Result]:
        for command in commands:
            backends[command.argv[0]].ports = set(json.loads(command.argv[1]))
        return []

    facts = SimpleNamespace(
        firewall=SimpleNamespace(backend=now, complete=False), tools=frozenset(tools)
    )
    brief = SimpleNamespace(begun={"firewall": {"backend": begun}} if begun else {})
    host = SimpleNamespace(run_all=run_all)
    return cast("NodeSession", SimpleNamespace(brief=brief, facts=facts, host=host))


def moved(wanted: Sequence[Rule], *, to: str = "ufw", former: str = "nftables") -> FirewallRules:
    return FirewallRules(
        wanted, previous=[OLD], prefix="redoubt:encryption:1:", backend=to, former=former
    )


def test_rules_go_where_the_firewall_is_now_and_back_where_they_were(
    backends: dict[str, MemoryBackend],
) -> None:
    backends["nftables"].ports = {6380}
    host, step = node(backends, "nft", "ufw"), moved([NEW])
    state = step.inspect(host)
    assert step.satisfied(state) is None
    assert len(step.describe(state)[0].lines) == 3

    step.apply(host, state)

    assert (backends["nftables"].ports, backends["ufw"].ports) == (set(), {7443})
    assert step.satisfied(step.inspect(host)) is not None

    step.undo(host, state)

    assert (backends["nftables"].ports, backends["ufw"].ports) == ({6380}, set())


def test_a_firewall_that_is_no_longer_installed_is_left_and_told(
    backends: dict[str, MemoryBackend],
) -> None:
    backends["nftables"].ports = {6380}
    host, step = node(backends, "ufw"), moved([NEW])

    step.apply(host, step.inspect(host))

    assert "nftables" in step.warnings[0]
    assert (backends["nftables"].ports, backends["ufw"].ports) == ({6380}, {7443})


def test_the_rules_of_a_firewall_that_is_only_switched_off_stay(
    backends: dict[str, MemoryBackend],
) -> None:
    backends["nftables"].ports = {6380}
    host, step = node(backends, "nft", now="none"), moved([OLD], to="none")

    assert step.satisfied(step.inspect(host)) is not None
    assert backends["nftables"].ports == {6380}


def test_a_takeover_takes_the_rules_out_of_the_firewall_that_the_killed_attempt_met(
    backends: dict[str, MemoryBackend],
) -> None:
    backends["nftables"].ports = {6380}
    host = node(backends, "nft", "ufw", begun="nftables")
    step = FirewallRules([NEW], previous=(), prefix="redoubt:encryption:1:", backend="ufw")
    state = step.inspect(host)

    step.apply(host, state)

    assert (backends["nftables"].ports, backends["ufw"].ports) == (set(), {7443})

    step.undo(host, state)

    assert (backends["nftables"].ports, backends["ufw"].ports) == (set(), set())


def test_an_uninstall_looks_also_where_the_firewall_is_now(
    backends: dict[str, MemoryBackend],
) -> None:
    backends["ufw"].ports = {6380}
    host, step = node(backends, "nft", "ufw"), moved((), to="nftables")

    step.apply(host, step.inspect(host))

    assert backends["ufw"].ports == set()


NFTABLES = """
cat >/etc/nftables.conf <<'CONF'
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iif "lo" accept
		tcp dport { 22, 6379 } accept
	}
}
CONF
systemctl enable --quiet --now nftables
"""
NO_NFTABLES = "systemctl disable --quiet --now nftables; cat /root/nft.conf >/etc/nftables.conf"
# Any ufw command makes iptables' tables anew, empty.
THEIRS = "nft list table inet filter; cat /etc/nftables.conf"
OURS = "nft list ruleset | grep -c redoubt || :; ufw show added | grep -c redoubt || :"


@pytest.mark.lab
def test_an_install_after_a_change_of_firewall_moves_the_rules(stage: Stage) -> None:
    stage.register("ufw")
    shell(stage.lab, "ufw", "cp /etc/nftables.conf /root/nft.conf")
    before = stage.photograph("ufw")
    stage.panel.install("ufw")
    shell(stage.lab, "ufw", f"ufw disable; {NFTABLES}")
    with_nftables = shell(stage.lab, "ufw", THEIRS)
    assert not reachable(stage.address("ufw"), 6380)

    run = stage.panel.install("ufw")

    assert stage.speaks_tls("ufw")
    told = next(text for text in said(run, "applied") if "ufw" in text)
    assert re.search(r"nftables: \d added; ufw: \d removed$", told)
    assert shell(stage.lab, "ufw", OURS).split() == ["1", "0"]
    assert unchanged(stage.panel.install("ufw"))

    stage.panel.uninstall("ufw")

    assert shell(stage.lab, "ufw", THEIRS) == with_nftables
    shell(stage.lab, "ufw", f"{NO_NFTABLES}; ufw --force enable")
    assert before.differences(stage.photograph("ufw")) == []
    shell(stage.lab, "ufw", "rm /root/nft.conf")


@pytest.mark.lab
@pytest.mark.long
def test_an_uninstall_takes_the_rules_out_of_the_firewall_that_was_stopped(stage: Stage) -> None:
    stage.register("firewalld")
    shell(stage.lab, "firewalld", "cp /etc/nftables.conf /root/nft.conf")
    before = stage.photograph("firewalld")
    stage.panel.install("firewalld")
    shell(stage.lab, "firewalld", f"systemctl disable --quiet --now firewalld; {NFTABLES}")

    stage.panel.uninstall("firewalld")

    shell(stage.lab, "firewalld", f"{NO_NFTABLES}; systemctl enable --quiet --now firewalld")
    shell(stage.lab, "firewalld", "firewall-cmd --state")
    assert before.differences(stage.photograph("firewalld")) == []
    shell(stage.lab, "firewalld", "rm /root/nft.conf")
