"""Runs as they went: what each step said, when, and what was left on the nodes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from addons.authorities import authority_ensure, issuing_authority
from addons.engine.conditions import AS_WANTED, Condition, merge
from addons.health import ending, health_of
from addons.models import (
    Authority,
    Certificate,
    Installation,
    NodeInstallation,
    Run,
    RunNode,
    StepRecord,
)
from addons.pki.keys import KeyType
from addons.pki.policy import renewal_due
from instances.audit import PANEL, audit
from instances.models import Node, NodeGroup
from tools.screenshots.cast import Cast
from tools.screenshots.day import NOW
from tools.screenshots.texts import PUT_BACK, SPEC, installed, preview, preview_back

Said = Sequence[tuple[str, str, str]]
"""Step, kind and sentence, in order."""
VERIFIED = ("true", "VerifiedFromPanel", "TLSv1.3, PONG in 0.9 ms")
_NODE_STATES = {
    Run.State.SUCCEEDED: RunNode.State.DONE,
    Run.State.PUT_BACK: RunNode.State.PUT_BACK,
    Run.State.PUTTING_BACK: RunNode.State.RUNNING,
    Run.State.RUNNING: RunNode.State.RUNNING,
    Run.State.STUCK: RunNode.State.STUCK,
    Run.State.RESOLVED: RunNode.State.STUCK,
}


@dataclass(frozen=True, slots=True)
class Tales:
    """Writes runs into the past.

    Args:
        cast: Who acts, and the clock.
    """

    cast: Cast

    def install(
        self, group: NodeGroup, *, days: float, by: str, valid: float = 365, **more: Any
    ) -> Run:
        """Tell of an install that went well so many days ago, and of what is served since.

        Args:
            valid: Days that the certificates last.
            more: As `run`.
        """
        with self.cast.ago(days=days) as at:
            authority = self.authority(group)
            installation = self._installation(group, generation=1)
            told = {}
            for node in group.nodes.order_by("name"):
                issued = self._certificate(authority, node, at, valid)
                self._observed(installation, node, issued)
                clients = node.facts["runtime"]["clients"]
                told[node.name] = installed(issued.fingerprint, authority.name, clients)
            run = self.run(group, Run.State.SUCCEEDED, by=by, told=told, **more)
            for row in NodeInstallation.objects.filter(installation=installation):
                steps = ("certificate", "firewall", "runtime", "configuration")
                row.baseline = {step: [{"run": run.pk, "state": {}}] for step in steps}
                row.save(update_fields=["baseline"])
        return run

    def run(
        self,
        group: NodeGroup,
        state: Run.State,
        *,
        by: str,
        told: Mapping[str, Said] | None = None,
        action: str = "install",
        failure: dict[str, str] | None = None,
        bundle: UUID | None = None,
        stopping: bool = False,
        **looks: Any,
    ) -> Run:
        """Tell of a run that was asked for at the clock's present.

        Args:
            told: What the steps said, by the node's name. Without it no worker has begun.
            looks: What the previews have, as `texts.preview` takes it.
        """
        now = datetime.now(tz=NOW.tzinfo)
        run = Run.objects.create(
            installation=self._installation(group),
            action=action,
            spec=SPEC,
            state=state,
            actor_id=self.cast.people[by].user_id,
            actor_name=by,
            attempt=1,
            bundle=bundle,
            failure=failure or {},
            stop_requested=stopping,
            started_at=now + timedelta(seconds=4.2) if told else None,
        )
        self._nodes(run, told or {}, looks)
        self._ended(run, now)
        verb = "run.start" if told else "run.preview"
        audit(self.cast.people[by], verb, run, tls_port=6380)
        if run.ended:
            audit(PANEL, f"run.{state.value}", run)
        return run

    def _nodes(self, run: Run, told: Mapping[str, Said], looks: dict[str, Any]) -> None:
        moment = run.started_at or run.created_at
        make = preview_back if run.action == "uninstall" else preview
        for position, node in enumerate(run.installation.group.nodes.order_by("name")):
            said = told.get(node.name, ())
            row = RunNode(run=run, node=node, position=position, digest="0" * 64)
            if run.state != Run.State.PREVIEWING:
                row.preview = make(node, **looks)
            if said:
                row.state = self._state_of(run, said)
                row.started_at = moment
                moment = self._records(run, node, said, moment)
                over = row.state != RunNode.State.RUNNING
                row.ended_at = moment if over else None
            row.save()

    def _state_of(self, run: Run, said: Said) -> str:
        steps = [step for step, *_ in said]
        through = said[-1][1] == "verified" and run.state == Run.State.RUNNING
        if "preflight" in steps:
            return RunNode.State.FAILED
        if run.state in {Run.State.STUCK, Run.State.RESOLVED} and said[-1][1] == "verified":
            return RunNode.State.PUT_BACK
        return RunNode.State.DONE if through else _NODE_STATES[Run.State(run.state)]

    def _records(self, run: Run, node: Node, said: Said, moment: datetime) -> datetime:
        for step, kind, says in said:
            moment += timedelta(milliseconds=self.cast.chance.randint(30, 190))
            if kind == "under way":
                kind = "before"  # noqa: PLW2901 -- it is drawn so while nothing came after
            StepRecord.objects.create(
                run=run, node=node, attempt=1, step=step, kind=kind, at=moment, says=says
            )
        return moment

    def _ended(self, run: Run, now: datetime) -> None:
        if run.ended:
            last = run.records.order_by("at").last()
            run.ended_at = last.at if last else now + timedelta(seconds=3.1)
            run.save(update_fields=["ended_at"])

    def observe(self, node: Node, status: str, reason: str, message: str) -> None:
        """Tell what was seen on a node since."""
        row = NodeInstallation.objects.get(node=node)
        at = NOW - timedelta(minutes=4)
        found = Condition("Encrypted", status, reason, message, 1, at.isoformat())
        row.conditions = merge(row.conditions, found)
        row.observed_at, row.health = at, health_of(row.conditions)
        row.save()

    def unseen(self, node: Node, **since: float) -> None:
        """Tell that nobody has looked at a node for so long."""
        NodeInstallation.objects.filter(node=node).update(observed_at=NOW - timedelta(**since))

    def drift(self, node: Node, place: str, *lines: tuple[str, str]) -> None:
        """Tell that somebody has changed something on a node.

        Args:
            lines: Kind and text of each.
        """
        row = NodeInstallation.objects.get(node=node)
        at = NOW - timedelta(minutes=4)
        found = Condition(
            AS_WANTED,
            "false",
            "Drift",
            f"{node.name}: {place} is not as wanted.",
            1,
            at.isoformat(),
        )
        row.conditions = [*merge([], found), *row.conditions]
        told = [{"kind": kind, "text": text} for kind, text in lines]
        row.drift = [{"step": "configuration", "place": place, "lines": told}]
        row.observed_at, row.health = at, health_of(row.conditions)
        row.save()

    def authority(self, group: NodeGroup) -> Authority:
        """Return the environment's authority, made where there is none."""
        now = datetime.now(tz=NOW.tzinfo)
        made = authority_ensure(environment=group.environment, key_type=KeyType.EC_P256, now=now)
        if made.created_at == now:
            # A fresh one has another each time, and the pictures would differ.
            made.fingerprint = self.cast.fingerprint()
            made.save(update_fields=["fingerprint"])
        return issuing_authority(group.environment)

    def _installation(self, group: NodeGroup, generation: int = 0) -> Installation:
        made, _ = Installation.objects.get_or_create(group=group, addon="encryption")
        if generation:
            made.spec, made.generation = dict(SPEC), generation
            made.save()
        return made

    def _certificate(
        self, authority: Authority, node: Node, at: datetime, valid: float
    ) -> Certificate:
        until = at + timedelta(days=valid, minutes=10)
        for purpose in ("client", "server"):
            made = Certificate.objects.create(
                authority=authority,
                node=node,
                purpose=purpose,
                state=Certificate.State.SERVING,
                serial=f"{self.cast.chance.getrandbits(152):038x}",
                subject=f"CN={node.name}",
                names=node.client_addresses,
                fingerprint=self.cast.fingerprint(),
                not_before=at,
                not_after=until,
                renew_at=renewal_due(at, until),
            )
        return made

    def _observed(self, installation: Installation, node: Node, served: Certificate) -> None:
        at = NOW - timedelta(minutes=4)
        status, reason, message = VERIFIED
        found = Condition("Encrypted", status, reason, message, 1, served.not_before.isoformat())
        observed = {
            "fingerprint": served.fingerprint,
            "protocol": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "not_after": served.not_after.isoformat(),
            "names": list(node.client_addresses),
            "verified_from": "panel",
            "latency_ms": 0.9,
            "ping": "PONG",
            "plaintext": "NOAUTH",
        }
        NodeInstallation.objects.create(
            installation=installation,
            node=node,
            observed_generation=1,
            observed=observed,
            observed_at=at,
            conditions=merge([], found),
            health=health_of(merge([], found)),
            not_after=ending(observed),
        )
        server = node.facts.get("server", {})
        Node.objects.filter(pk=node.pk).update(
            facts={**node.facts, "server": {**server, "tls_port": 6380}}
        )


def half_way(
    nodes: Iterable[Node], authority: str, fingerprint: str, *, at: int
) -> dict[str, Said]:
    """Return what was said of an install that is at its node number ``at``, from 0 on."""
    told: dict[str, Said] = {}
    for place, node in enumerate(nodes):
        whole = installed(fingerprint, authority, 41)
        if place < at:
            told[node.name] = whole
        elif place == at:
            told[node.name] = [*whole[:2], ("runtime", "under way", "")]
    return told


def put_back(before: Said, failed: tuple[str, str]) -> Said:
    """Return an install that came as far as ``before``, failed, and was put back.

    Args:
        before: The steps that went well.
        failed: The step that did not, and what it said.
    """
    done = {step for step, *_ in before} | {failed[0], "verify"}
    back = [each for each in PUT_BACK if each[0] in done]
    return [*before, (failed[0], "failed", failed[1]), *back]
