"""Plans for Sentinels: plaintext while their servers keep it, TLS once those speak nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from addons.encryption.history import History
from addons.encryption.issuer import Issuer
from addons.encryption.layout import Layout
from addons.encryption.observing import observed
from addons.encryption.obstacles import no_unit, node_obstacles
from addons.encryption.plan import Served, verified_as
from addons.encryption.probe import plaintext_of
from addons.encryption.spec import EncryptionSpec
from addons.encryption.standing import installed_directory, own_directory, removal, wanted_on
from addons.encryption.steps.certificate import IssueCertificates, RemoveCertificates
from addons.encryption.steps.configuration import (
    Rewritten,
    install_directives,
    restore_directives,
)
from addons.encryption.steps.failover import FailoverHeld
from addons.encryption.steps.reissue import ReissueCertificates
from addons.encryption.steps.sentinel import SentinelFile
from addons.encryption.wanted import Wanted
from addons.engine.step import Goal, State, Step
from addons.session import NodeSession
from instances.nodeconf.redis_conf import EMPTY_BASELINE, without_effect
from instances.reason import Reason

_RANK = 1000
"""Sentinels come after all servers."""

PLAIN = {
    "condition": {
        "type": "Encrypted",
        "status": "true",
        "reason": "PlainAsWanted",
        "message": "A Sentinel: in plaintext, as long as its servers keep their plain port",
    }
}


@dataclass(frozen=True, slots=True)
class SentinelPlan:
    """Leads a Sentinel to TLS, or back to plaintext, on the port that it has.

    Args:
        found: Obstacles to a move, from the facts.
        certificates: The step; None where there is nothing of ours.
        before: How it spoke TLS before the run; None where it did not.
        after: How it does when the run has succeeded.
        port: Its port, over whichever transport.
    """

    steps: Sequence[Step[NodeSession]]
    holds: Sequence[FailoverHeld]
    found: Sequence[Reason]
    certificates: IssueCertificates | RemoveCertificates | None
    issuer: Issuer
    before: Served | None
    after: Served | None
    port: int
    warnings: Sequence[Reason] = ()
    rank: int = _RANK
    queue: str = "sentinels"

    @property
    def obstacles(self) -> Sequence[Reason]:
        """What facts, files and the Sentinel itself say stands in the way."""
        certificates = self.certificates.problems if self.certificates else ()
        held = [problem for hold in self.holds for problem in hold.problems]
        moves = any(isinstance(step, SentinelFile) and step.moves for step in self.steps)
        return (*(self.found if moves else ()), *certificates, *held)

    def probe(self, node: NodeSession, goal: Goal) -> tuple[Sequence[str], State]:
        """Prove by handshake that it speaks TLS alone, or that it answers in plaintext."""
        served = self.after if goal is Goal.FORWARD else self.before
        if served is None:
            said = plaintext_of(node, self.port, closed=False)
            return [f"verified: the Sentinel answers in plaintext ({said})"], PLAIN
        seen = verified_as(node, served, self.issuer, self.certificates, goal)
        return seen.sentences(self.issuer.facts.common_name), seen.as_json()

    def observe(self, node: NodeSession) -> State:
        """Look at its port from outside."""
        return observed(
            lambda: self.probe(node, Goal.FORWARD)[1],
            node,
            plain_port=self.port,
            plain_closed=self.after is not None,
        )


@dataclass(frozen=True, slots=True)
class SentinelPlanner:
    """Plans for the Sentinels of a group.

    Args:
        spec: The group's settings after the run; None where the add-on goes.
        former: Those before it, where it is installed.
    """

    spec: EncryptionSpec | None
    former: EncryptionSpec | None
    issuer: Issuer

    def plan(self, session: NodeSession) -> SentinelPlan:
        """Return the plan for this Sentinel."""
        port = session.server.port or session.server.tls_port
        before = self._before(session, port)
        if self.spec is not None and self.spec.replicates_over_tls:
            return self._encrypted(session, self.spec, before, port)
        if "sentinel" in session.brief.baseline or "sentinel" in session.brief.begun:
            return self._plain_again(session, before, port)
        return SentinelPlan((), (), (), None, self.issuer, before, None, port)

    def _before(self, session: NodeSession, port: int) -> Served | None:
        """Return how it spoke TLS before the run."""
        if not (self.former and self.former.replicates_over_tls):
            return None
        if "sentinel" not in session.brief.baseline:
            return None
        former = _on(self.former, port)
        return Served(
            former, Layout(installed_directory(session, former)), local=False, plain_port=port
        )

    def _encrypted(
        self, session: NodeSession, spec: EncryptionSpec, before: Served | None, port: int
    ) -> SentinelPlan:
        own = own_directory(_on(spec, port), session)
        wanted = wanted_on(session, own, History(plain_port=port, closed=True, link_moved=True))
        certificates = IssueCertificates(
            wanted.layout.directory,
            issuer=self.issuer,
            names=(*session.brief.client_addresses, *spec.sans),
            group=session.server.unit_group,
        )
        move = SentinelFile(
            install_directives(wanted.lines, session.server),
            back=lambda state: restore_directives(state["baseline"]),
            port=port,
            tls=True,
            certificates=certificates,
        )
        return SentinelPlan(
            steps=(certificates, move),
            holds=(FailoverHeld(move),),
            found=(*_obstacles(session), *_overridden(session, wanted)),
            certificates=certificates,
            issuer=self.issuer,
            before=before,
            after=Served(own, wanted.layout, local=False, plain_port=port),
            port=port,
        )

    def _plain_again(self, session: NodeSession, before: Served | None, port: int) -> SentinelPlan:
        recorded = session.brief.baseline.get("sentinel", {}).get("baseline", EMPTY_BASELINE)
        former = _on(self.former or EncryptionSpec(), port)
        lines = wanted_on(
            session,
            own_directory(former, session),
            History(plain_port=port, closed=True, link_moved=True),
        ).lines
        certificates = removal(session, former)
        move = SentinelFile(
            restore_directives(recorded, accepted=lines),
            back=lambda _state: install_directives(lines, session.server),
            port=port,
            tls=False,
        )
        return SentinelPlan(
            steps=(move, certificates),
            holds=(FailoverHeld(move),),
            found=tuple(_obstacles(session)),
            certificates=certificates,
            issuer=self.issuer,
            before=before,
            after=None,
            port=port,
        )

    def reissue(self, session: NodeSession) -> SentinelPlan:
        """Return the plan that gives a Sentinel new certificates: only a restart loads them."""
        port = session.server.port or session.server.tls_port
        before = self._before(session, port)
        if before is None:
            return self.plan(session)
        certificates = ReissueCertificates(
            before.layout.directory,
            issuer=self.issuer,
            names=(*session.brief.client_addresses, *before.spec.sans),
            group=session.server.unit_group,
        )
        move = SentinelFile(
            _as_it_is, back=lambda _state: _as_it_is, port=port, tls=True, certificates=certificates
        )
        return SentinelPlan(
            steps=(certificates, move),
            holds=(),
            found=tuple(_obstacles(session)),
            certificates=certificates,
            issuer=self.issuer,
            before=before,
            after=before,
            port=port,
        )


def _as_it_is(content: bytes) -> Rewritten:
    return Rewritten(content, EMPTY_BASELINE)


def _on(spec: EncryptionSpec, port: int) -> EncryptionSpec:
    """Return the group's settings as they are of a Sentinel: its own port and addresses stay."""
    return replace(spec, tls_port=port, plaintext="off", bind="keep", protected_mode="keep")


def _obstacles(node: NodeSession) -> Iterator[Reason]:
    """Yield why a Sentinel cannot be moved from one transport to the other."""
    yield from node_obstacles(node, node.now())
    yield from no_unit(node, "a Sentinel takes its transport at its start")
    if node.server.tls_supported is False:
        yield Reason(
            "NoTls",
            f"{node.name}: this Sentinel's program was built without TLS.",
            "Install a build with TLS, such as a distribution's package.",
        )
    yield from _broken(node)
    if not node.server.config.directory_writable:
        yield Reason(
            "ConfigReadOnly",
            f"{node.name}: no file can be written beside {node.server.config.path}.",
            "Make the file system writable.",
        )


def _broken(node: NodeSession) -> Iterator[Reason]:
    """Yield why a Sentinel would not start again with its own file.

    It writes passwords as they are: one with a quote or a space makes a line that nobody can read
    (redis 7.0.15 sentinel.c, rewriteConfigSentinelOption).
    """
    told = [f"{problem.source}: {problem.message}" for problem in node.server.tree.problems]
    passwords = [words for words in node.server.tree.all("sentinel") if words[:1] == ("auth-pass",)]
    if any(len(words) != 3 for words in passwords):
        told.append("the password of sentinel auth-pass is not one word")
    for each in told:
        yield Reason(
            "BadLine",
            f"{node.name}: the Sentinel could not start again with its own file: {each}.",
            "A Sentinel does not quote what it writes: choose a password without spaces and quotes "
            "(SENTINEL SET NAME auth-pass), and look at the file.",
        )


def _overridden(node: NodeSession, wanted: Wanted) -> Iterator[Reason]:
    for name, source in without_effect(node.server.tree, wanted.lines).items():
        yield Reason(
            "Overridden",
            f"{node.name}: {name} is set by {source} too, which wins over its file.",
            "Remove it there first.",
        )
