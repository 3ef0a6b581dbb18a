"""Plans the way back: to what was on a node before the add-on, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from addons.encryption.binding import loopback_only
from addons.encryption.cluster import Company, crosses
from addons.encryption.cluster_checks import crossing_obstacles
from addons.encryption.handover import handover_obstacles, handover_warnings
from addons.encryption.history import History, former_values, history_of
from addons.encryption.issuer import Issuer
from addons.encryption.links import family, is_replica, link_port_before, rank, watch_warnings
from addons.encryption.obstacles import uninstall_obstacles, uninstall_warnings
from addons.encryption.party import Party
from addons.encryption.plan import EncryptionPlan, ForgetPlan
from addons.encryption.sentinels import SentinelPlanner
from addons.encryption.spec import EncryptionSpec
from addons.encryption.standing import (
    goes_live,
    previous_rules,
    removal,
    served_before,
    tag_prefix,
    wanted_on,
)
from addons.encryption.steps.certificate import RemoveCertificates
from addons.encryption.steps.cluster import ClusterServer
from addons.encryption.steps.configuration import (
    ConfigurationFile,
    Rewrite,
    install_directives,
    restore_directives,
)
from addons.encryption.steps.firewall import FirewallRules
from addons.encryption.steps.handover import Handover
from addons.encryption.steps.link import ReplicationLink
from addons.encryption.steps.restart import Restart
from addons.encryption.steps.runtime import RunningServer
from addons.encryption.wanted import can_apply_live, needs_password
from addons.engine.step import Plan, State, Step
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.facts import ServerFacts
from instances.nodeconf.redis_conf import EMPTY_BASELINE
from instances.reason import Reason


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
    company: Company = field(default_factory=Company)
    party: Party = field(default_factory=Party)

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        """Return the plan for this node."""
        baseline = session.brief.baseline
        self.party.join(session)
        if session.server.sentinel:
            return SentinelPlanner(None, self.former, self.issuer).plan(session)
        if not baseline:
            return ForgetPlan()
        firewall = FirewallRules(
            (),
            previous=previous_rules(session),
            prefix=tag_prefix(session.brief.node),
            backend=baseline.get("firewall", {}).get("backend", "none"),
        )
        certificates = removal(session, self.former)
        history = history_of(session)
        self.company.join(session)
        after = _restored(session, self._back(session, history))
        live = goes_live(session, wish=self._live(session))
        connections = tls_connections(session, self.former.tls_port)
        return EncryptionPlan(
            steps=self._steps(session, baseline, certificates, firewall, history),
            found=(
                *uninstall_obstacles(session, self.spec, history.plain_port),
                *_left_open(session, after, history),
                *_left_without_certificate(session, after),
            ),
            late=partial(self._late, session, history),
            known=(
                *(() if self._live(session) else handover_warnings(session)),
                *watch_warnings(session, None, self.former),
                *uninstall_warnings(session, self.spec, connections),
            ),
            firewall=firewall,
            certificates=certificates,
            issuer=self.issuer,
            before=served_before(session, self.former, history),
            after=None,
            tls_port=self.former.tls_port,
            plain_port=history.plain_port,
            company=self.company,
            ranked=partial(rank, session, self.former, live=live),
            family=partial(family, session),
            party=self.party,
        )

    def _late(self, session: NodeSession, history: History) -> Iterator[Reason]:
        live = self._live(session)
        yield from crossing_obstacles(session, self.company, history, self.former, None, live=live)
        if not live:
            yield from handover_obstacles(session, self.party)

    def _steps(
        self,
        session: NodeSession,
        baseline: Mapping[str, State],
        certificates: RemoveCertificates,
        firewall: FirewallRules,
        history: History,
    ) -> Sequence[Step[NodeSession]]:
        lines = wanted_on(session, self.former, history).lines
        configuration = ConfigurationFile(
            self._back(session, history),
            back=lambda _before: install_directives(lines, session.server),
        )
        former = former_values(baseline)
        if goes_live(session, wish=self._live(session)):
            values = dict(reversed(former.items()))
            if crosses(session.runtime, self.former):
                cluster = ClusterServer(values, company=self.company)
                return (cluster, configuration, firewall, certificates)
            moved = history.link_moved and is_replica(session)
            port = link_port_before(session, history)
            links = (ReplicationLink(port, over_tls=False),) if moved else ()
            return (RunningServer(values), *links, configuration, firewall, certificates)
        restart = Restart(
            former,
            tls_port=self.former.tls_port,
            plain_port=history.plain_port,
            party=self.party,
        )
        # Before the file is edited: a Sentinel that fails over has it written anew.
        return (Handover(restart, self.party), configuration, restart, firewall, certificates)

    def _live(self, session: NodeSession) -> bool:
        return self.spec.apply == "live" and can_apply_live(session.server, session.runtime)

    def _back(self, session: NodeSession, history: History) -> Rewrite:
        recorded = session.brief.baseline.get("configuration", {})
        return restore_directives(
            recorded.get("baseline", EMPTY_BASELINE),
            accepted=wanted_on(session, self.former, history).lines,
        )


def _restored(session: NodeSession, back: Rewrite) -> ServerFacts:
    """Return the server as it would be once its main configuration file is as it was."""
    config = session.server.config
    return replace(session.server, config=replace(config, content=back(config.content).content))


def _left_open(session: NodeSession, after: ServerFacts, history: History) -> Sequence[Reason]:
    """Say where the plain port would stay reachable once our rule that closes it is gone.

    An operator's own change of the bind line is left by an uninstall.
    """
    if not history.exposed or needs_password(session.server, session.runtime):
        return ()
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


def _left_without_certificate(session: NodeSession, after: ServerFacts) -> Sequence[Reason]:
    """Say where an operator's own tls-port would stay without what it needs.

    With it the server would not start again.
    """
    if not after.tls_port or after.tree.value("tls-cert-file"):
        return ()
    return (
        Reason(
            "TlsPortChanged",
            f"{session.name}: tls-port was changed in {after.config.path} since the install, so it "
            "would stay there without a certificate, and the server would not start again.",
            "Repair or accept that change first, then try again.",
        ),
    )


def tls_connections(session: NodeSession, port: int) -> int | None:
    """Return how many connections are on the TLS port now, from the kernel's socket table."""
    script = 'ss -tnH state established "sport = :$1" | wc -l'
    counted = session.host.run(Command(("bash", "-c", script, "count", str(port))))
    return int(counted.text.strip() or 0)
