"""Turns a spec and a node into a plan: which steps, in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from addons.encryption.binding import loopback_only
from addons.encryption.history import History, closed_outside, former_values, history_of
from addons.encryption.issuer import Issuer
from addons.encryption.layout import Layout
from addons.encryption.links import (
    former_link_port,
    is_replica,
    link_obstacles,
    link_port,
    rank,
)
from addons.encryption.obstacles import (
    install_obstacles,
    install_warnings,
    uninstall_obstacles,
    uninstall_warnings,
)
from addons.encryption.plan import AdoptionPlan, EncryptionPlan, ForgetPlan, Served
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.certificate import IssueCertificates, RemoveCertificates
from addons.encryption.steps.configuration import (
    ConfigurationFile,
    Rewrite,
    install_directives,
    restore_directives,
)
from addons.encryption.steps.firewall import FirewallRules, stored_rule
from addons.encryption.steps.leftover import LeftoverSessions
from addons.encryption.steps.link import ReplicationLink
from addons.encryption.steps.restart import Restart
from addons.encryption.steps.runtime import RunningServer
from addons.encryption.wanted import (
    Wanted,
    can_apply_live,
    directory_of,
    needs_password,
    wanted_of,
)
from addons.engine.step import Plan, State, Step
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.firewall import Rule
from instances.nodeconf.redis_conf import EMPTY_BASELINE, restore
from instances.reason import Reason


def tag_prefix(node: int) -> str:
    """Return what all firewall tags of the add-on on a node begin with."""
    return f"redoubt:encryption:{node}:"


@dataclass(frozen=True, slots=True)
class InstallPlanner:
    """Plans installs, first ones and later ones with other settings.

    Args:
        former: The settings before this run, where the add-on is installed.
    """

    spec: EncryptionSpec
    former: EncryptionSpec | None
    issuer: Issuer
    authority_id: int

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        """Return the plan for this node."""
        if self.spec.adopt == "yes" and _speaks_foreign_tls(session):
            port = int(session.runtime.config.get("tls-port") or session.server.tls_port)
            return AdoptionPlan((), (), port, self.issuer)
        ours = bool(session.brief.baseline or session.brief.begun)
        history = history_of(session)
        wanted = wanted_of(
            _with_own_directory(self.spec, session),
            session.facts,
            session.runtime,
            addresses=session.brief.client_addresses,
            prefix=tag_prefix(session.brief.node),
            history=history,
        )
        firewall = self._firewall(session, wanted)
        certificates = self._certificates(session, wanted)
        return EncryptionPlan(
            steps=self._steps(session, wanted, firewall, certificates, history),
            found=(
                *install_obstacles(session, self.spec, wanted, history, ours=ours),
                *link_obstacles(session, self.spec, self.former, self.issuer),
            ),
            known=tuple(install_warnings(session, self.spec, wanted, history)),
            firewall=firewall,
            certificates=certificates,
            issuer=self.issuer,
            before=_served_before(session, self.former),
            after=Served(self.spec, wanted.layout, wanted.loopback_only, history.plain_port),
            tls_port=self.spec.tls_port,
            plain_port=history.plain_port,
            rank=rank(session, self.former, self.spec),
        )

    @staticmethod
    def _firewall(session: NodeSession, wanted: Wanted) -> FirewallRules:
        return FirewallRules(
            wanted.rules,
            previous=_previous_rules(session),
            prefix=tag_prefix(session.brief.node),
            backend=_backend(session, wanted),
            former=session.brief.baseline.get("firewall", {}).get("backend", ""),
        )

    def _certificates(self, session: NodeSession, wanted: Wanted) -> IssueCertificates:
        return IssueCertificates(
            wanted.layout.directory,
            issuer=self.issuer,
            names=(*session.brief.client_addresses, *self.spec.sans),
            group=session.server.unit_group,
        )

    def _steps(
        self,
        session: NodeSession,
        wanted: Wanted,
        firewall: FirewallRules,
        certificates: IssueCertificates,
        history: History,
    ) -> Sequence[Step[NodeSession]]:
        link = link_port(session, self.spec, history)
        lines = {**wanted.lines, **_primary_line(session, link)}
        configuration = ConfigurationFile(
            install_directives(lines, session.server),
            back=lambda before: restore_directives(before["baseline"]),
        )
        moved = self._moved_away(session, wanted)
        # A rule that closes the plain port goes once nothing listens there.
        opens = closed_outside(session) and all(rule.action != "drop" for rule in wanted.rules)
        early, late = ((), (firewall,)) if opens else ((firewall,), ())
        # A file edited before the running server could be erased by a REWRITE (REDIS_FACTS 0.2).
        if _goes_live(session, wish=wanted.live):
            leftover = LeftoverSessions(
                port=history.plain_port if self.spec.tls_only else 0, tls_port=self.spec.tls_port
            )
            running = RunningServer(wanted.directives, certificates=certificates, leftover=leftover)
            links = (ReplicationLink(link),) if link else ()
            return (certificates, *early, running, *links, configuration, *late, *moved, leftover)
        restart = Restart(
            wanted.directives,
            tls_port=self.spec.tls_port,
            plain_port=history.plain_port,
            certificates=certificates,
        )
        return (certificates, *early, configuration, restart, *late, *moved)

    def _moved_away(self, session: NodeSession, wanted: Wanted) -> Sequence[RemoveCertificates]:
        """Return what takes the certificates away from the directory they were in."""
        before = _served_before(session, self.former)
        if before is None or before.layout == wanted.layout:
            return ()
        return (_removal(session, before.spec, key="former-certificate"),)


@dataclass(frozen=True, slots=True)
class UninstallPlanner:
    """Plans the way back to the baseline, and nothing else.

    Args:
        spec: How to go back: ``apply`` is all that counts.
        former: The settings that are installed.
    """

    spec: EncryptionSpec
    former: EncryptionSpec
    issuer: Issuer
    authority_id: int

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        """Return the plan for this node."""
        baseline = session.brief.baseline
        if not baseline:
            return ForgetPlan()
        firewall = FirewallRules(
            (),
            previous=_previous_rules(session),
            prefix=tag_prefix(session.brief.node),
            backend=baseline.get("firewall", {}).get("backend", "none"),
        )
        certificates = _removal(session, self.former)
        plain = history_of(session).plain_port
        connections = tls_connections(session, self.former.tls_port)
        return EncryptionPlan(
            steps=self._steps(session, baseline, certificates, firewall),
            found=(
                *uninstall_obstacles(session, self.spec, plain),
                *_left_open(session, baseline),
                *_left_without_certificate(session, self._configuration(session)),
            ),
            known=tuple(uninstall_warnings(session, self.spec, connections)),
            firewall=firewall,
            certificates=certificates,
            issuer=self.issuer,
            before=_served_before(session, self.former),
            after=None,
            tls_port=self.former.tls_port,
            plain_port=plain,
            rank=rank(session, self.former),
        )

    def _steps(
        self,
        session: NodeSession,
        baseline: Mapping[str, State],
        certificates: RemoveCertificates,
        firewall: FirewallRules,
    ) -> Sequence[Step[NodeSession]]:
        lines = _installed_lines(session, self.former)
        configuration = ConfigurationFile(
            self._configuration(session),
            back=lambda _before: install_directives(lines, session.server),
        )
        former = former_values(baseline)
        can = can_apply_live(session.server, session.runtime)
        if _goes_live(session, wish=self.spec.apply == "live" and can):
            values = dict(reversed(former.items()))
            moved = history_of(session).link_moved and is_replica(session)
            links = (ReplicationLink(former_link_port(session)),) if moved else ()
            return (RunningServer(values), *links, configuration, firewall, certificates)
        plain = history_of(session).plain_port
        restart = Restart(former, tls_port=self.former.tls_port, plain_port=plain)
        return (configuration, restart, firewall, certificates)

    def _configuration(self, session: NodeSession) -> Rewrite:
        file = session.brief.baseline.get("configuration", {}).get("baseline", EMPTY_BASELINE)
        return restore_directives(file, accepted=_installed_lines(session, self.former))


def _primary_line(session: NodeSession, port: int) -> dict[str, str | None]:
    """Return the line that names a replica's primary, where its file has one."""
    primary = session.server.primary
    return {"replicaof": f"{primary[0]} {port}"} if primary and port else {}


def _with_own_directory(spec: EncryptionSpec, session: NodeSession) -> EncryptionSpec:
    """Return the spec with a directory of the node's own, where several share the machine."""
    if spec.directory or not session.brief.shares_machine:
        return spec
    usual = directory_of(spec, session.server)
    state = session.brief.baseline.get("certificate") or session.brief.begun.get("certificate")
    own = str(state["directory"]) if state else f"{usual}-{session.server.port}"
    return replace(spec, directory=own)


def _goes_live(session: NodeSession, *, wish: bool) -> bool:
    """Say whether the plan is the live one: a takeover goes on as its predecessor began.

    The restart itself can change what `can_apply_live` sees.
    """
    begun = session.brief.begun
    return "runtime" in begun or (wish and "restart" not in begun)


def _served_before(session: NodeSession, former: EncryptionSpec | None) -> Served | None:
    """Return how the node speaks TLS through the add-on; None where it does not yet."""
    if former is None or not session.brief.baseline:
        return None
    layout = Layout(installed_directory(session, former))
    plain = history_of(session).plain_port
    return Served(former, layout, loopback_only(session.server.bind), plain)


def installed_directory(session: NodeSession, former: EncryptionSpec) -> str:
    state = session.brief.baseline.get("certificate")
    return str(state["directory"]) if state else directory_of(former, session.server)


def _removal(
    session: NodeSession, former: EncryptionSpec, key: str = IssueCertificates.key
) -> RemoveCertificates:
    """Return the step that takes away the certificates that are installed."""
    created = session.brief.baseline.get("certificate", {}).get("missing", ())
    return RemoveCertificates(installed_directory(session, former), created=created, key=key)


def _left_open(session: NodeSession, baseline: Mapping[str, State]) -> Sequence[Reason]:
    """Say where the plain port would stay reachable once our rule that closes it is gone.

    An operator's own change of the bind line is left by an uninstall.
    """
    history = history_of(session)
    if not history.exposed or needs_password(session.server, session.runtime):
        return ()
    file = baseline.get("configuration", {}).get("baseline", EMPTY_BASELINE)
    config = session.server.config
    content = restore(config.content, dict(file)).content
    after = replace(session.server, config=replace(config, content=content))
    if loopback_only(after.bind):
        return ()
    return (
        Reason(
            "BindChanged",
            f"{session.name}: its bind line was changed since the install and stays, so without "
            f"Redoubt's rule the plain port {history.plain_port} would be open to others.",
            "Take the node's address out of bind in its file, or set a password, and try again.",
        ),
    )


def _left_without_certificate(session: NodeSession, back: Rewrite) -> Sequence[Reason]:
    """Say where an operator's own tls-port would stay without what it needs.

    With it the server would not start again.
    """
    config = session.server.config
    after = replace(session.server, config=replace(config, content=back(config.content).content))
    if not after.tls_port or after.tree.value("tls-cert-file"):
        return ()
    return (
        Reason(
            "TlsPortChanged",
            f"{session.name}: tls-port was changed in {config.path} since the install, so it would "
            "stay there without a certificate, and the server would not start again.",
            "Repair or accept that change first, then try again.",
        ),
    )


def _installed_lines(session: NodeSession, spec: EncryptionSpec) -> dict[str, Any]:
    return wanted_of(
        spec,
        session.facts,
        session.runtime,
        addresses=session.brief.client_addresses,
        prefix=tag_prefix(session.brief.node),
        history=history_of(session),
    ).lines


def _speaks_foreign_tls(session: NodeSession) -> bool:
    if session.brief.baseline or session.brief.begun:
        return False
    return bool(int(session.runtime.config.get("tls-port") or 0) or session.server.tls_port)


def _previous_rules(session: NodeSession) -> list[Rule]:
    """Return the rules that the add-on put there in earlier runs."""
    state = session.brief.baseline.get("firewall")
    return [stored_rule(rule) for rule in state["wanted"]] if state else []


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
