"""Plans re-issues: new certificates from the same authority, under the settings in force."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from addons.encryption.binding import loopback_only
from addons.encryption.cluster import Company
from addons.encryption.copies import copy_obstacles
from addons.encryption.history import history_of
from addons.encryption.issuer import Issuer
from addons.encryption.layout import Layout
from addons.encryption.links import family, rank
from addons.encryption.obstacles import no_unit, node_obstacles
from addons.encryption.party import Party
from addons.encryption.persistence import empty_afterwards, loses
from addons.encryption.plan import EncryptionPlan, Served
from addons.encryption.sentinels import SentinelPlanner
from addons.encryption.spec import EncryptionSpec
from addons.encryption.standing import installed_directory
from addons.encryption.steps.reissue import ReissueCertificates, ReloadCertificates
from addons.encryption.steps.restart import Restart
from addons.engine.step import Plan, Step
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.errors import RemoteError
from instances.runtime import config_set_refused


@dataclass(frozen=True, slots=True)
class ReissuePlanner:
    """Plans re-issues.

    Args:
        spec: The settings in force.
    """

    spec: EncryptionSpec
    issuer: Issuer
    authority_id: int
    company: Company = field(default_factory=Company)
    party: Party = field(default_factory=Party)

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        """Return the plan for this node."""
        self.company.join(session)
        self.party.join(session)
        if session.server.sentinel:
            planner = SentinelPlanner(self.spec, self.spec, self.issuer)
            return planner.reissue(session)
        layout = Layout(installed_directory(session, self.spec))
        plain = history_of(session).plain_port
        served = Served(self.spec, layout, loopback_only(session.server.bind), plain)
        certificates = ReissueCertificates(
            layout.directory,
            issuer=self.issuer,
            names=(*session.brief.client_addresses, *self.spec.sans),
            group=session.server.unit_group,
        )
        refused = _config_refused(session)
        load = self._load(session, certificates, refused)
        return EncryptionPlan(
            steps=(certificates, load),
            found=tuple(_obstacles(session, self.spec, layout, refused)),
            known=tuple(_warnings(session, refused)),
            firewall=None,
            certificates=certificates,
            issuer=self.issuer,
            before=served,
            after=served,
            tls_port=self.spec.tls_port,
            plain_port=plain,
            company=self.company,
            ranked=partial(rank, session, self.spec, live=not isinstance(load, Restart)),
            family=partial(family, session),
            party=self.party,
        )

    def _load(
        self, session: NodeSession, certificates: ReissueCertificates, refused: Reason | None
    ) -> Step[NodeSession]:
        """Return what makes the server load them: a takeover goes on as its predecessor began."""
        begun = session.brief.begun
        if "restart" in begun or (refused is not None and ReloadCertificates.key not in begun):
            wanted = {"tls-port": str(self.spec.tls_port)}
            return Restart(
                wanted,
                tls_port=self.spec.tls_port,
                plain_port=history_of(session).plain_port,
                party=self.party,
                certificates=certificates,
            )
        return ReloadCertificates(certificates.layout)


def _config_refused(session: NodeSession) -> Reason | None:
    """Say why the server cannot be told to reload; a takeover may meet one that is down."""
    if session.runtime.config_refused is not None:
        return session.runtime.config_refused
    try:
        return config_set_refused(session.redis())
    except RemoteError:
        if not session.brief.begun:
            raise
        session.forget_server()
        return None


def _obstacles(
    node: NodeSession, spec: EncryptionSpec, layout: Layout, refused: Reason | None
) -> Iterator[Reason]:
    if not node.brief.baseline:
        yield Reason(
            "NotInstalledHere",
            f"{node.name} has no certificate of Redoubt's: it came to the group after the install, "
            "or its own TLS was only taken into view.",
            "Install the add-on on the group once more, or take the node out of the group.",
        )
        return
    yield from node_obstacles(node, node.now())
    if refused is None:
        runs = node.runtime.config
        now = (runs.get("tls-cert-file", ""), runs.get("tls-port", ""))
        where = "it runs with"
    else:
        yield from no_unit(node, f"CONFIG cannot be used ({refused.code})")
        yield from empty_afterwards(node)
        yield from copy_obstacles(node)
        tree = node.server.tree
        now = (tree.value("tls-cert-file") or "", tree.value("tls-port") or "")
        where = "its file has"
    if now != (layout.certificate, str(spec.tls_port)):
        yield Reason(
            "ServerDiffers",
            f"{node.name}: {where} tls-cert-file “{now[0]}” and tls-port “{now[1]}”, not "
            f"{layout.certificate} and {spec.tls_port}, so it would not serve what is issued.",
            "Install the add-on on the group once more: that sets them again.",
        )


def _warnings(node: NodeSession, refused: Reason | None) -> Iterator[Reason]:
    if refused is not None:
        yield from loses(node)
        yield Reason(
            "NeedsRestart",
            f"{node.name}: CONFIG cannot be used ({refused.code}), so it restarts once.",
            refused.next_step,
        )
