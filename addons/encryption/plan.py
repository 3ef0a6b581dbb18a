"""The plans of the encryption add-on: its steps, what stands in their way, the proof."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from addons.encryption.adopt import observe
from addons.encryption.cluster import Company, crosses
from addons.encryption.cluster_proof import cluster_proof
from addons.encryption.issuer import Issuer
from addons.encryption.layout import Layout
from addons.encryption.links import link_proof
from addons.encryption.observing import observed
from addons.encryption.party import Party
from addons.encryption.probe import Verified, plaintext_of, tls_closed, verify
from addons.encryption.rejoining import rejoined
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.certificate import (
    IssueCertificates,
    RemoveCertificates,
    fingerprints_on_file,
)
from addons.encryption.steps.firewall import FirewallRules
from addons.encryption.steps.restart import Restart
from addons.engine.step import Goal, State, Step, StepFailed
from addons.session import NodeSession
from instances.reason import Reason


@dataclass(frozen=True, slots=True)
class Served:
    """How a node speaks TLS through this add-on.

    Args:
        local: Whether only the node itself can reach the server.
        plain_port: Where it speaks plaintext, or did before that was closed; 0 for nowhere.
    """

    spec: EncryptionSpec
    layout: Layout
    local: bool
    plain_port: int


def verified_as(
    node: NodeSession,
    served: Served,
    issuer: Issuer,
    certificates: IssueCertificates | RemoveCertificates | None,
    goal: Goal,
) -> Verified:
    """Prove by handshake that a node speaks TLS as the add-on has it.

    Args:
        certificates: The step, which knows on the way forward what it has put in place.

    Raises:
        StepFailed: It does not.
    """
    known = certificates.in_place if certificates and goal is Goal.FORWARD else None
    return verify(
        node,
        served.spec,
        issuer,
        known or fingerprints_on_file(node, served.layout),
        local=served.local,
        plain_port=served.plain_port,
    )


@dataclass(frozen=True, slots=True)
class EncryptionPlan:
    """Leads one node to TLS beside plaintext, or away from it.

    Args:
        found: Obstacles, from the facts.
        late: More of them, told once all nodes of the run have been looked at.
        known: Warnings, from the facts.
        firewall: The step; None where the rules stay.
        before: How the node spoke TLS before the run; None where it did not.
        after: How it does when the run has succeeded.
        tls_port: The port that is closed where it does not.
        plain_port: The port that answers in plaintext then; 0 for none.
        ranked: When the node has its turn among those of its group, by the role that it has now: a
            put-back finds others than the way forward did.
        family: Who has the same data; empty for nobody. Never are two of them restarted at once.
        holds: What is held meanwhile.
        company: The nodes of the run that are in a cluster.
        party: The nodes of the run.
    """

    steps: Sequence[Step[NodeSession]]
    found: Sequence[Reason]
    known: Sequence[Reason]
    firewall: FirewallRules | None
    certificates: IssueCertificates | RemoveCertificates
    issuer: Issuer
    before: Served | None
    after: Served | None
    tls_port: int
    plain_port: int
    ranked: Callable[[], int]
    family: Callable[[], str]
    late: Callable[[], Iterable[Reason]] = tuple
    holds: Sequence[Step[NodeSession]] = ()
    company: Company = field(default_factory=Company)
    party: Party = field(default_factory=Party)

    @property
    def rank(self) -> int:
        """When the node has its turn now."""
        return self.ranked()

    @property
    def queue(self) -> str:
        """The family, where the node restarts."""
        return self.family() if any(step.key == Restart.key for step in self.steps) else ""

    @property
    def obstacles(self) -> Sequence[Reason]:
        """What the facts and the steps' looks say stands in the way."""
        mend = "Mend that on the machine, then try again."
        problems = self.firewall.problems if self.firewall else ()
        blocked = [Reason("FirewallOutOfReach", text, mend) for text in problems]
        return (*self.found, *self.late(), *self.certificates.problems, *blocked)

    @property
    def warnings(self) -> Sequence[Reason]:
        """What a person should know before confirming."""
        warnings = self.firewall.warnings if self.firewall else ()
        told = [Reason("Firewall", text) for text in warnings]
        return (*self.known, *told)

    def probe(self, node: NodeSession, goal: Goal) -> tuple[Sequence[str], State]:
        """Prove by handshake that TLS is served, or that it is gone and plaintext answers."""
        served = self.after if goal is Goal.FORWARD else self.before
        sentences, observation = self._look(node, goal)
        specs = [each.spec for each in (self.before, self.after) if each]
        if crosses(node.runtime, *specs):
            spec = served.spec if served else None
            whole = cluster_proof(node, self.issuer, spec, self.company)
            sentences = [*sentences, *whole]
        if goal is Goal.FORWARD and self.queue:
            sentences = [*sentences, *rejoined(node, self.party)]
        return sentences, observation

    def _look(self, node: NodeSession, goal: Goal) -> tuple[Sequence[str], State]:
        served = self.after if goal is Goal.FORWARD else self.before
        if served is not None:
            seen = verified_as(node, served, self.issuer, self.certificates, goal)
            links = link_proof(node, served.spec)
            return [*seen.sentences(self.issuer.facts.common_name), *links], seen.as_json()
        said = plaintext_of(node, self.plain_port, closed=False)
        if self.tls_port != self.plain_port and not tls_closed(node, self.tls_port):
            raise StepFailed(
                Reason(
                    "StillListening",
                    f"{node.name}: something still listens on port {self.tls_port}.",
                    "Look with ss -ltnp on the node what it is.",
                )
            )
        return [f"verified: TLS is off, the plain port answers as before ({said})"], {}

    def observe(self, node: NodeSession) -> State:
        """Look at both ports from outside: what TLS shows, and whether the plain one is open."""
        rules = self.firewall.wanted if self.firewall else ()
        closed = any(rule.action == "drop" for rule in rules)
        return observed(
            lambda: self._look(node, Goal.FORWARD)[1],
            node,
            plain_port=self.plain_port,
            plain_closed=closed or bool(self.after and self.after.spec.tls_only),
        )


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """Takes a server that speaks TLS already into view; it has no steps and changes nothing."""

    obstacles: Sequence[Reason]
    warnings: Sequence[Reason]
    port: int
    issuer: Issuer
    steps: Sequence[Step[NodeSession]] = ()
    holds: Sequence[Step[NodeSession]] = ()
    rank: int = 0
    queue: str = ""

    def probe(self, node: NodeSession, goal: Goal) -> tuple[Sequence[str], State]:  # noqa: ARG002
        """Look at what is served; its authority is not ours, so its chain is not judged."""
        return observe(node, self.port, self.issuer)

    def observe(self, node: NodeSession) -> State:
        """Look at what is served, and at the plain port from outside."""
        return observed(
            lambda: self.probe(node, Goal.FORWARD)[1],
            node,
            plain_port=node.server.port,
            plain_closed=False,
        )


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """Lets an adopted server out of view: nothing was changed there, so nothing is put back."""

    obstacles: Sequence[Reason] = ()
    warnings: Sequence[Reason] = ()
    steps: Sequence[Step[NodeSession]] = ()
    holds: Sequence[Step[NodeSession]] = ()
    rank: int = 0
    queue: str = ""

    def probe(self, node: NodeSession, goal: Goal) -> tuple[Sequence[str], State]:  # noqa: ARG002
        """There is nothing to prove."""
        return [f"{node.name} is no longer in view; it keeps its own TLS settings"], {}

    def observe(self, node: NodeSession) -> State:  # noqa: ARG002 -- the plan's signature
        """There is nothing to look at."""
        return {}
