"""Nodes in memory for real runs: claim, engine, journal, results and issuer are the panel's own.

What is made up is the machine: what is put there is kept in a field, and what it "serves" is that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from addons.authorities import issuing_authority
from addons.encryption.issuer import Issuer
from addons.engine.step import Change, Goal, State, StepFailed
from addons.models import Installation, Run
from addons.pki.facts import LeafFacts
from addons.pki.keys import KeyType
from addons.pki.leaf import Issued
from addons.runs import drive
from addons.runs.certificates import certificate_record, key_digest, store_certificates
from addons.runs.claim import Lease
from addons.runs.journal import DatabaseJournal
from addons.runs.services import run_create
from instances.audit import Actor
from instances.models import Environment, Node, NodeGroup
from instances.reason import Reason

ANNA = Actor(None, "anna", "test")


@dataclass
class Machine:
    """One node's machine.

    Args:
        served: Certificates of the server and of its client, while there are some.
        silent: Whether it does not answer.
        broken: Whether the server does not take what it is given.
        mends: Whether it can be put back.
    """

    name: str
    served: tuple[LeafFacts, LeafFacts] | None = None
    silent: bool = False
    broken: bool = False
    mends: bool = True
    issued_at: list[datetime] = field(default_factory=list)


@dataclass
class Session:
    machine: Machine
    issued: Callable[[Sequence[Issued]], None]
    issuer: Issuer
    now: datetime


class PutCertificates:
    """Issues a pair and puts it on the machine."""

    key = "certificate"
    title = "Certificate"
    together = False

    def inspect(self, node: Session) -> State:
        return {"served": [each.as_json() for each in node.machine.served or ()]}

    def satisfied(self, state: State) -> Reason | None:
        return None

    def describe(self, state: State) -> Sequence[Change]:
        return [Change("A new certificate.")]

    def apply(self, node: Session, state: State) -> str:
        name = node.machine.name
        requests = (node.issuer.request(name, [name]), node.issuer.client_request(name))
        issued = [node.issuer.issue(request, node.now) for request in requests]
        node.issued(issued)
        node.machine.served = (issued[0].public, issued[1].public)
        return "written"

    def undo(self, node: Session, before: State) -> str:
        if not node.machine.mends:
            raise StepFailed(Reason("Gone", f"{node.machine.name}: the disk is gone"))
        served = [LeafFacts.from_json(each) for each in before["served"]]
        node.machine.served = (served[0], served[1]) if served else None
        return "put back"

    def settle(self, node: Session, goal: Goal, before: State | None) -> str | None:
        return None


@dataclass(frozen=True)
class Plan:
    steps: Sequence[PutCertificates] = (PutCertificates(),)
    obstacles: Sequence[Reason] = ()
    warnings: Sequence[Reason] = ()
    rank: int = 0
    queue: str = ""
    holds: Sequence[Any] = ()

    def probe(self, node: Session, goal: Goal) -> tuple[Sequence[str], State]:
        machine = node.machine
        if machine.broken and goal is Goal.FORWARD:
            raise StepFailed(Reason("NoPong", f"{machine.name}: PING was answered with: LOADING"))
        if machine.served is None:
            return ["verified: TLS is off"], {}
        server, client = machine.served
        if goal is Goal.FORWARD:
            machine.issued_at.append(node.now)
        return ["verified: PONG"], {
            "fingerprint": server.fingerprint_sha256,
            "client_fingerprint": client.fingerprint_sha256,
            "not_after": server.not_after.isoformat(),
            "condition": {
                "type": "Encrypted",
                "status": "true",
                "reason": "VerifiedFromPanel",
                "message": "PONG",
            },
        }


@dataclass
class Work:
    """A node's part in a run."""

    node: int
    machine: Machine
    lease: Lease
    journal: DatabaseJournal
    issuer: Issuer
    authority: int
    now: datetime
    confirmed: Mapping[str, Any] = field(default_factory=dict)

    def connect(self) -> Session:
        if self.machine.silent:
            raise StepFailed(Reason("NoRoute", f"{self.machine.name}: no route to host"))
        return Session(self.machine, self._issued, self.issuer, self.now)

    def plan(self, session: Session) -> Plan:
        return Plan()

    def finish(self, session: Session) -> None:
        pass

    def close(self, session: Session) -> None:
        pass

    def _issued(self, issued: Sequence[Issued]) -> None:
        records = [
            certificate_record(
                each.public,
                authority=self.authority,
                node=self.node,
                run=self.lease.run,
                key_digest=key_digest(each.key),
            )
            for each in issued
        ]
        self.journal.commit(lambda: store_certificates(records))


class Site:
    """Machines by node, and the clock."""

    def __init__(self, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = now
        self.machines: dict[int, Machine] = {}
        monkeypatch.setattr(drive, "works_of", self._works)
        # Pages and filters that are asked within a test see the same clock.
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def pass_by(self, **time: float) -> datetime:
        """Move the clock on."""
        self.now += timedelta(**time)
        return self.now

    def machine(self, node: Node) -> Machine:
        return self.machines.setdefault(node.pk, Machine(node.name))

    def install(self, group: NodeGroup, **settings: str) -> Installation:
        """Install with settings, now; each machine serves a first pair then."""
        run = run_create(
            actor=ANNA,
            group=group,
            addon="encryption",
            action="install",
            settings=settings,
            confirmed=True,
        )
        assert self.drive(run).state == Run.State.SUCCEEDED, run.failure
        return Installation.objects.get(pk=run.installation_id)

    def drive(self, run: Run) -> Run:
        """Have a worker carry a run out."""
        drive.run_drive(run=run.pk, clock=lambda: self.now)
        run.refresh_from_db()
        return run

    def _works(self, run: Run, lease: Lease, journal: DatabaseJournal) -> list[Work]:
        spec = {"lifetime_days": 365} | run.installation.spec | run.spec
        issuer, authority = _issuer(run.installation.group.environment, spec["lifetime_days"])
        rows = run.nodes.select_related("node")
        return [
            Work(row.node_id, self.machine(row.node), lease, journal, issuer, authority, self.now)
            for row in rows
        ]


def _issuer(environment: Environment, days: int) -> tuple[Issuer, int]:
    authority = issuing_authority(environment)
    pem = authority.certificate
    return Issuer(pem, authority.private_key, pem, KeyType.EC_P256, days), authority.pk
