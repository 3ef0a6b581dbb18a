"""Turns a spec and a node into a plan: which steps, in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from addons.encryption.issuer import Issuer
from addons.encryption.layout import Layout
from addons.encryption.obstacles import (
    install_obstacles,
    install_warnings,
    node_obstacles,
    uninstall_warnings,
)
from addons.encryption.plan import AdoptionPlan, EncryptionPlan, ForgetPlan
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.certificate import IssueCertificates, RemoveCertificates
from addons.encryption.steps.configuration import (
    ConfigurationFile,
    install_directives,
    restore_directives,
)
from addons.encryption.steps.firewall import FirewallRules
from addons.encryption.steps.restart import Restart
from addons.encryption.steps.runtime import RunningServer
from addons.encryption.wanted import Wanted, can_apply_live, loopback_only, wanted_of
from addons.engine.step import Plan, State, Step
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.firewall import Rule
from instances.nodeconf.redis_conf import EMPTY_BASELINE

_OFF = {"tls-port": "0"}


def tag_prefix(node: int) -> str:
    """Return what all firewall tags of the add-on on a node begin with."""
    return f"redoubt:encryption:{node}:"


@dataclass(frozen=True, slots=True)
class InstallPlanner:
    """Plans installs, first ones and later ones with other settings."""

    spec: EncryptionSpec
    issuer: Issuer
    authority_id: int

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        """Return the plan for this node."""
        if self.spec.adopt == "yes" and _speaks_foreign_tls(session):
            port = int(session.runtime.config.get("tls-port") or session.server.tls_port)
            return AdoptionPlan((), (), port, self.issuer)
        ours = bool(session.brief.baseline or session.brief.begun)
        wanted = wanted_of(
            self.spec,
            session.facts,
            session.runtime,
            addresses=session.brief.client_addresses,
            prefix=tag_prefix(session.brief.node),
            closed_before=_closed_before(session),
        )
        firewall = self._firewall(session, wanted)
        return EncryptionPlan(
            steps=self._steps(session, wanted, firewall),
            found=tuple(install_obstacles(session, self.spec, wanted, ours=ours)),
            known=tuple(install_warnings(session, self.spec, wanted)),
            firewall=firewall,
            spec=self.spec,
            layout=wanted.layout,
            issuer=self.issuer,
            encrypted_before=bool(session.brief.baseline),
            encrypted_after=True,
            local=wanted.loopback_only,
        )

    @staticmethod
    def _firewall(session: NodeSession, wanted: Wanted) -> FirewallRules:
        return FirewallRules(
            wanted.rules,
            previous=_previous_rules(session),
            prefix=tag_prefix(session.brief.node),
            backend=_backend(session, wanted),
        )

    def _steps(
        self, session: NodeSession, wanted: Wanted, firewall: FirewallRules
    ) -> Sequence[Step[NodeSession]]:
        certificates = IssueCertificates(
            wanted.layout.directory,
            issuer=self.issuer,
            names=session.brief.client_addresses,
            group=session.server.unit_group,
        )
        configuration = ConfigurationFile(
            install_directives(wanted.lines),
            back=lambda before: restore_directives(before["baseline"]),
        )
        # A file edited before the running server could be erased by a REWRITE (REDIS_FACTS 0.2).
        if wanted.live:
            return (certificates, firewall, RunningServer(wanted.directives), configuration)
        restart = Restart(wanted.directives, tls_port=self.spec.tls_port)
        return (certificates, firewall, configuration, restart)


@dataclass(frozen=True, slots=True)
class UninstallPlanner:
    """Plans the way back to the baseline, and nothing else."""

    spec: EncryptionSpec
    issuer: Issuer
    authority_id: int

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        """Return the plan for this node."""
        baseline = session.brief.baseline
        if not baseline:
            return ForgetPlan()
        directory = self.spec.directory or baseline["certificate"]["directory"]
        firewall = FirewallRules(
            (),
            previous=_previous_rules(session),
            prefix=tag_prefix(session.brief.node),
            backend=baseline.get("firewall", {}).get("backend", "none"),
        )
        connections = tls_connections(session, self.spec.tls_port)
        return EncryptionPlan(
            steps=self._steps(session, baseline, directory, firewall),
            found=tuple(node_obstacles(session, session.now())),
            known=tuple(uninstall_warnings(session, connections)),
            firewall=firewall,
            spec=self.spec,
            layout=Layout(directory),
            issuer=self.issuer,
            encrypted_before=True,
            encrypted_after=False,
            local=loopback_only(session.server.bind),
        )

    def _steps(
        self,
        session: NodeSession,
        baseline: Mapping[str, State],
        directory: str,
        firewall: FirewallRules,
    ) -> Sequence[Step[NodeSession]]:
        created = baseline.get("certificate", {}).get("missing", ())
        certificates = RemoveCertificates(directory, created=created)
        file = baseline.get("configuration", {}).get("baseline", EMPTY_BASELINE)
        lines = _installed_lines(session, self.spec)
        configuration = ConfigurationFile(
            restore_directives(file), back=lambda _before: install_directives(lines)
        )
        former = _former_values(baseline)
        if self.spec.apply == "live" and can_apply_live(session.server, session.runtime):
            values = dict(reversed(former.items()))
            return (RunningServer(values), configuration, firewall, certificates)
        restart = Restart(former, tls_port=self.spec.tls_port)
        return (configuration, restart, firewall, certificates)


def _former_values(baseline: Mapping[str, State]) -> dict[str, str]:
    """Return what the server ran with before the install, in the order in which it was set."""
    if "runtime" in baseline:
        return dict(baseline["runtime"]["values"])
    former = dict(baseline.get("restart", {}).get("running", {}))
    return dict(_OFF) if "listening" in former or not former else former


def _installed_lines(session: NodeSession, spec: EncryptionSpec) -> dict[str, Any]:
    return wanted_of(
        spec,
        session.facts,
        session.runtime,
        addresses=session.brief.client_addresses,
        prefix=tag_prefix(session.brief.node),
        closed_before=_closed_before(session),
    ).lines


def _speaks_foreign_tls(session: NodeSession) -> bool:
    if session.brief.baseline or session.brief.begun:
        return False
    return bool(int(session.runtime.config.get("tls-port") or 0) or session.server.tls_port)


def _earlier_firewall(session: NodeSession) -> list[State]:
    states = (session.brief.baseline.get("firewall"), session.brief.begun.get("firewall"))
    return [state for state in states if state]


def _closed_before(session: NodeSession) -> bool:
    return any(
        rule["action"] == "drop" for state in _earlier_firewall(session) for rule in state["wanted"]
    )


def _previous_rules(session: NodeSession) -> list[Rule]:
    """Return the rules that the add-on put there in earlier runs."""
    state = session.brief.baseline.get("firewall")
    return [_rule(rule) for rule in state["wanted"]] if state else []


def _rule(stored: Mapping[str, Any]) -> Rule:
    return Rule(**{**stored, "networks": tuple(stored["networks"])})


def _backend(session: NodeSession, wanted: Wanted) -> str:
    """Return the backend in force; nftables where a port is to be closed and nothing filters."""
    found = session.facts.firewall.backend
    closes = any(rule.action == "drop" for rule in wanted.rules)
    return "nftables" if found == "none" and closes and "nft" in session.facts.tools else found


def tls_connections(session: NodeSession, port: int) -> int | None:
    """Return how many connections are on the TLS port now, from the kernel's socket table."""
    script = 'ss -tnH state established "sport = :$1" | wc -l'
    counted = session.host.run(Command(("bash", "-c", script, "count", str(port))))
    return int(counted.text.strip() or 0)
