"""One node's part in a run: the engine's Work over SSH."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, reduce
from typing import Any

from django.db.models import Count

from addons.catalogue import Planner, addon_named
from addons.engine.step import Plan, State
from addons.models import Certificate, NodeInstallation, Run, RunNode
from addons.pki.leaf import Issued
from addons.runs.certificates import certificate_record, store_certificates
from addons.runs.claim import Lease
from addons.runs.journal import DatabaseJournal
from addons.session import NodeBrief, NodeSession
from instances.errors import DomainError
from instances.models import Machine, Node
from instances.nodeconf.command import Command
from instances.nodeconf.facts import facts_command, parse_facts, program_from_json
from instances.reach import ssh_target
from instances.remote.errors import LockHeld, RemoteError
from instances.remote.lock import Holder
from instances.remote.ssh import SshHost, SshTarget

_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class NodeWork:
    """Reaches one node and plans for it.

    Args:
        confirmed: The preview that a person confirmed, or nothing.
        ended: The runs on this machine that are over.
        changes: Whether the run may change the node; a preview takes no lock on it.
    """

    brief: NodeBrief
    lease: Lease
    journal: DatabaseJournal
    planner: Planner
    confirmed: Mapping[str, Any]
    ended: frozenset[int]
    changes: bool

    @property
    def node(self) -> int:
        return self.brief.node

    def connect(self) -> NodeSession:
        if isinstance(self.brief.target, DomainError):
            raise self.brief.target
        host = SshHost.open(self.brief.target)
        try:
            if self.changes:
                self._take_lock(host)
            program = self.brief.program
            command = facts_command(
                self.brief.unit or None,
                self.brief.config_path or None,
                remembered=program.identity if program else "",
            )
            facts = parse_facts(host.run(command).stdout, program)
        except BaseException:
            host.close()
            raise
        return NodeSession(
            brief=self.brief,
            host=host,
            run=self.lease.run,
            attempt=self.lease.attempt,
            facts=facts,
            now=partial(datetime.now, UTC),
            issued=self._issued,
        )

    def plan(self, session: NodeSession) -> Plan[NodeSession]:
        try:
            session.read_runtime()
        except RemoteError:
            # A run that began may have left the server down: then it is to be put right.
            if not self.brief.begun:
                raise
            session.forget_server()
        return self.planner.plan(session)

    def finish(self, session: NodeSession) -> None:
        script = (
            '[ ! -d "$1" ] || rm -rf -- "$1"; set -- "${1%/*}" "$2"; '
            '[ ! -d "$1" ] || rmdir --parents --ignore-fail-on-non-empty -- "$1" 2>/dev/null; '
            "exit 0"
        )
        session.host.run(Command(("bash", "-c", script, "finish", session.workspace)))

    def close(self, session: NodeSession) -> None:
        try:
            if self.changes:
                session.host.release_lock()
        except Exception:  # noqa: BLE001, S110 -- the lock goes with the connection anyway
            pass
        finally:
            session.close()

    def _take_lock(self, host: SshHost) -> None:
        """Take the lock on the machine; end the shell of a dead worker first.

        Another node of this very attempt may hold it: two servers on one machine. The database
        lets one run at a time have a machine, so a run that has ended holds it by a lost
        connection of which the machine has not heard.
        """
        run, attempt = self.lease.run, self.lease.attempt
        try:
            host.take_lock(run, attempt)
        except LockHeld as held:
            if (held.run, held.attempt) == (run, attempt) and self.brief.shares_machine:
                return
            dead = held.run == run or held.run in self.ended
            if not dead or held.pid is None or held.run is None:
                raise
            host.end_holder(Holder(held.run, held.attempt or 0, held.pid))
            host.take_lock(run, attempt)

    def _issued(self, issued: Sequence[Issued]) -> None:
        records = [
            certificate_record(
                each.public,
                authority=self.planner.authority_id,
                node=self.node,
                run=self.lease.run,
            )
            for each in issued
        ]
        self.journal.commit(lambda: store_certificates(records))


def works_of(run: Run, lease: Lease, journal: DatabaseJournal) -> list[NodeWork]:
    """Read everything the node threads need, in a constant number of queries."""
    addon = addon_named(run.installation.addon)
    planner = addon.planner(run)
    installed = {
        row.node_id: row
        for row in NodeInstallation.objects.filter(installation=run.installation_id)
    }
    certificates: dict[int, set[str]] = {}
    known = Certificate.objects.filter(node__run_nodes__run=run).exclude(
        state=Certificate.State.ABANDONED
    )
    for node, fingerprint in known.values_list("node", "fingerprint"):
        certificates.setdefault(node or 0, set()).add(fingerprint)
    machines = Machine.objects.filter(nodes__run_nodes__run=run)
    # Counted apart: over the join of the filter it would be the run's own nodes alone.
    together = Node.objects.filter(machine__in=machines).values("machine")
    shared = set(
        together.annotate(count=Count("pk")).filter(count__gt=1).values_list("machine", flat=True)
    )
    ended = frozenset(
        Run.objects.filter(nodes__node__machine__in=machines, state__in=Run.ENDED)
        .exclude(pk=run.pk)
        .order_by("-pk")
        .values_list("pk", flat=True)[:_REMEMBERED]
    )
    rows = list(
        run.nodes.select_related(
            "node__machine__credential", "node__machine__jump_host__credential"
        )
    )
    return [
        NodeWork(
            brief=_brief(
                run,
                row.node,
                installed.get(row.node_id),
                frozenset(certificates.get(row.node_id, ())),
                journal.befores(row.node_id),
                shares_machine=row.node.machine_id in shared,
                beside=_beside(row.node, rows),
            ),
            lease=lease,
            journal=journal,
            planner=planner,
            confirmed=row.preview if row.digest else {},
            ended=ended,
            changes=run.state != Run.State.PREVIEWING,
        )
        for row in rows
    ]


def _brief(
    run: Run,
    node: Node,
    installed: NodeInstallation | None,
    certificates: frozenset[str],
    begun: Mapping[str, State],
    *,
    shares_machine: bool,
    beside: tuple[str, ...],
) -> NodeBrief:
    return NodeBrief(
        node=node.pk,
        name=node.name,
        target=_target(node),
        unit=node.unit,
        config_path=node.config_path,
        program=program_from_json(node.facts),
        client_addresses=tuple(node.client_addresses),
        username=node.server_username,
        password=node.server_password,
        baseline=_baseline(run, installed) if installed else {},
        begun=begun,
        certificates=certificates,
        shares_machine=shares_machine,
        beside=beside,
        installation=run.installation_id,
    )


def _beside(node: Node, rows: Sequence[RunNode]) -> tuple[str, ...]:
    """Name the run's other nodes on this node's machine."""
    others = (row.node for row in rows if row.node_id != node.pk)
    return tuple(other.name for other in others if other.machine_id == node.machine_id)


def _target(node: Node) -> SshTarget | DomainError:
    try:
        return ssh_target(node.machine, node.name)
    except DomainError as refusal:
        return refusal


def _baseline(run: Run, row: NodeInstallation) -> dict[str, State]:
    """Fold the layers of earlier runs into one way back; this run's own layer is not part of it."""
    merge = addon_named(run.installation.addon).merge_baselines
    folded: dict[str, State] = {}
    for step, layers in row.baseline.items():
        earlier = [layer["state"] for layer in layers if layer["run"] != run.pk]
        if earlier:
            folded[step] = reduce(partial(merge, step), earlier)
    return folded
