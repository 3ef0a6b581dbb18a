"""Plans installs: which steps lead a node to its settings, in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from addons.encryption.cluster import Company, crosses
from addons.encryption.cluster_checks import (
    crossing_obstacles,
    redirect_warnings,
    setting_obstacles,
)
from addons.encryption.handover import handover_obstacles, handover_warnings
from addons.encryption.history import History, closed_outside, history_of
from addons.encryption.issuer import Issuer
from addons.encryption.links import (
    family,
    link_obstacles,
    link_port,
    rank,
    watch_obstacles,
    watch_warnings,
)
from addons.encryption.obstacles import install_obstacles, install_warnings
from addons.encryption.party import Party
from addons.encryption.plan import AdoptionPlan, EncryptionPlan, Served
from addons.encryption.sentinels import SentinelPlanner
from addons.encryption.spec import EncryptionSpec
from addons.encryption.standing import (
    goes_live,
    own_directory,
    previous_rules,
    removal,
    served_before,
    tag_prefix,
    wanted_on,
)
from addons.encryption.steps.certificate import IssueCertificates, RemoveCertificates
from addons.encryption.steps.cluster import ClusterServer
from addons.encryption.steps.configuration import (
    ConfigurationFile,
    install_directives,
    restore_directives,
)
from addons.encryption.steps.firewall import FirewallRules
from addons.encryption.steps.handover import Handover
from addons.encryption.steps.leftover import LeftoverSessions
from addons.encryption.steps.link import ReplicationLink
from addons.encryption.steps.restart import Restart
from addons.encryption.steps.runtime import RunningServer
from addons.encryption.wanted import Wanted
from addons.engine.step import Plan, Step
from addons.session import NodeSession
from instances.reason import Reason


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
    company: Company = field(default_factory=Company)
    party: Party = field(default_factory=Party)

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        """Return the plan for this node."""
        if self.spec.adopt == "yes" and _speaks_foreign_tls(session):
            port = int(session.runtime.config.get("tls-port") or session.server.tls_port)
            return AdoptionPlan((), (), port, self.issuer)
        self.party.join(session)
        if session.server.sentinel:
            return SentinelPlanner(self.spec, self.former, self.issuer).plan(session)
        ours = bool(session.brief.baseline or session.brief.begun)
        history = history_of(session)
        self.company.join(session)
        wanted = wanted_on(session, own_directory(self.spec, session), history)
        live = goes_live(session, wish=wanted.live)
        firewall = self._firewall(session, wanted)
        certificates = self._certificates(session, wanted)
        return EncryptionPlan(
            steps=self._steps(session, wanted, firewall, certificates, history),
            found=(
                *watch_obstacles(session, self.spec, wanted, history),
                *install_obstacles(session, self.spec, wanted, history, ours=ours),
                *setting_obstacles(session, self.spec),
                *link_obstacles(session, self.spec, self.former, self.issuer),
            ),
            late=partial(self._late, session, history, live=wanted.live),
            known=(
                *(() if wanted.live else handover_warnings(session)),
                *watch_warnings(session, self.spec, self.former),
                *install_warnings(session, self.spec, wanted, history),
                *redirect_warnings(session, self.spec, history),
            ),
            firewall=firewall,
            certificates=certificates,
            issuer=self.issuer,
            before=served_before(session, self.former, history),
            after=Served(self.spec, wanted.layout, wanted.loopback_only, history.plain_port),
            tls_port=self.spec.tls_port,
            plain_port=history.plain_port,
            company=self.company,
            ranked=partial(rank, session, self.former, self.spec, live=live),
            family=partial(family, session),
            party=self.party,
        )

    def _late(self, session: NodeSession, history: History, *, live: bool) -> Iterator[Reason]:
        specs = (self.former, self.spec)
        yield from crossing_obstacles(session, self.company, history, *specs, live=live)
        if not live:
            yield from handover_obstacles(session, self.party)

    @staticmethod
    def _firewall(session: NodeSession, wanted: Wanted) -> FirewallRules:
        return FirewallRules(
            wanted.rules,
            previous=previous_rules(session),
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
        moved = self._moved_away(session, wanted, history)
        # A rule that closes the plain port goes once nothing listens there.
        opens = closed_outside(session) and all(rule.action != "drop" for rule in wanted.rules)
        early, late = ((), (firewall,)) if opens else ((firewall,), ())
        # A file edited before the running server could be erased by a REWRITE (REDIS_FACTS 0.2).
        if goes_live(session, wish=wanted.live):
            leftover = LeftoverSessions(
                port=history.plain_port if self.spec.tls_only else 0,
                tls_port=self.spec.tls_port,
                spares_links=self.spec.replicates_over_tls,
            )
            running = self._running(session, wanted, certificates, leftover)
            over_tls = self.spec.replicates_over_tls
            links = (ReplicationLink(link, over_tls=over_tls),) if link else ()
            return (certificates, *early, running, *links, configuration, *late, *moved, leftover)
        restart = Restart(
            wanted.directives,
            tls_port=self.spec.tls_port,
            plain_port=history.plain_port,
            party=self.party,
            certificates=certificates,
        )
        # Before the file is edited: a Sentinel that fails over has it written anew.
        handover = Handover(restart, self.party)
        return (certificates, *early, handover, configuration, restart, *late, *moved)

    def _running(
        self,
        session: NodeSession,
        wanted: Wanted,
        certificates: IssueCertificates,
        leftover: LeftoverSessions,
    ) -> RunningServer:
        if not crosses(session.runtime, self.former, self.spec):
            return RunningServer(wanted.directives, certificates=certificates, leftover=leftover)
        return ClusterServer(
            wanted.directives,
            company=self.company,
            certificates=certificates,
            leftover=leftover,
        )

    def _moved_away(
        self, session: NodeSession, wanted: Wanted, history: History
    ) -> Sequence[RemoveCertificates]:
        """Return what takes the certificates away from the directory they were in."""
        before = served_before(session, self.former, history)
        if before is None or before.layout == wanted.layout:
            return ()
        return (removal(session, before.spec, key="former-certificate"),)


def _primary_line(session: NodeSession, port: int) -> dict[str, str | None]:
    """Return the line that names a replica's primary, where its file has one."""
    primary = session.server.primary
    return {"replicaof": f"{primary[0]} {port}"} if primary and port else {}


def _speaks_foreign_tls(session: NodeSession) -> bool:
    if session.brief.baseline or session.brief.begun:
        return False
    return bool(int(session.runtime.config.get("tls-port") or 0) or session.server.tls_port)


def _backend(session: NodeSession, wanted: Wanted) -> str:
    """Return the backend in force; nftables where a port is to be closed and nothing filters."""
    found = session.facts.firewall.backend
    closes = any(rule.action == "drop" for rule in wanted.rules)
    return "nftables" if found == "none" and closes and "nft" in session.facts.tools else found
