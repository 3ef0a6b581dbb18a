"""One node's part in a run: the engine's Work over SSH."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from addons.catalogue import Planner, addon_named
from addons.engine.step import Plan
from addons.models import Run
from addons.pki.leaf import Issued
from addons.runs.briefs import briefs_of, facts_read
from addons.runs.certificates import certificate_record, key_digest, store_certificates
from addons.runs.claim import Lease
from addons.runs.journal import DatabaseJournal
from addons.session import NodeBrief, NodeSession
from instances.errors import DomainError
from instances.models import Machine
from instances.nodeconf.command import Command
from instances.remote.errors import LockHeld, RemoteError
from instances.remote.lock import Holder
from instances.remote.ssh import SshHost

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
            facts = facts_read(host, self.brief)
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
                key_digest=key_digest(each.key),
            )
            for each in issued
        ]
        self.journal.commit(lambda: store_certificates(records))


def works_of(run: Run, lease: Lease, journal: DatabaseJournal) -> list[NodeWork]:
    """Read everything the node threads need, in a constant number of queries."""
    planner = addon_named(run.installation.addon).planner(run)
    rows = list(
        run.nodes.select_related(
            "node__machine__credential", "node__machine__jump_host__credential"
        )
    )
    briefs = briefs_of(run.installation, [row.node for row in rows], run=run.pk)
    ended = _ended_beside(run)
    return [
        NodeWork(
            brief=replace(briefs[row.node_id], begun=journal.befores(row.node_id)),
            lease=lease,
            journal=journal,
            planner=planner,
            confirmed=row.preview if row.digest else {},
            ended=ended,
            changes=run.state != Run.State.PREVIEWING,
        )
        for row in rows
    ]


def _ended_beside(run: Run) -> frozenset[int]:
    """Return the latest runs on the run's machines that are over."""
    machines = Machine.objects.filter(nodes__run_nodes__run=run)
    return frozenset(
        Run.objects.filter(nodes__node__machine__in=machines, state__in=Run.ENDED)
        .exclude(pk=run.pk)
        .order_by("-pk")
        .values_list("pk", flat=True)[:_REMEMBERED]
    )
