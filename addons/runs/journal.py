"""The Journal in the database: node threads send, one writer commits in groups and acknowledges.

Only the thread that calls `DatabaseJournal.pump` touches the ORM. Every commit begins by renewing
the lease, so nothing is recorded, and no step begins, under a lease that another worker has taken.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from addons.engine.journal import LeaseLost, StopRequested
from addons.engine.step import Goal, Preview, State
from addons.models import Run, StepRecord
from addons.runs.claim import Lease, held_by
from addons.runs.results import NodeResults
from instances.reason import Reason

_ACK_SECONDS = 60.0
_IDLE_SECONDS = 0.5
_Kind = StepRecord.Kind


@dataclass(slots=True)
class _Entry:
    """Something to commit: a row to insert, or a call that writes."""

    write: StepRecord | Callable[[], None]
    done: threading.Event = field(default_factory=threading.Event)
    committed: bool = False


class DatabaseJournal:
    """The engine's Journal for one attempt of one run.

    Args:
        lease: This worker's hold on the run.
        results: Where the run's and its nodes' states are kept.
        befores: Before-states that earlier attempts recorded, by node and step.
    """

    def __init__(
        self, lease: Lease, results: NodeResults, befores: Mapping[int, Mapping[str, State]]
    ) -> None:
        self._lease = lease
        self._results = results
        self._befores = befores
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._ended = False

    # What node threads call.

    def proceed(self, goal: Goal) -> None:
        if self._lost.is_set():
            raise LeaseLost("another worker has this run")
        if goal is Goal.FORWARD and self._stop.is_set():
            raise StopRequested("stopped by a person, putting back")

    def previewed(self, node: int, preview: Preview) -> None:
        self._send(lambda: self._results.previewed(node, preview))

    def before(self, node: int, step: str, state: State) -> State:
        known = self._befores.get(node, {}).get(step)
        if known is not None:
            return known
        self._send(lambda: self._results.begun(node, step, state))
        self._commit(self._record(node, step, _Kind.BEFORE, state=state))
        return state

    def befores(self, node: int) -> Mapping[str, State]:
        return self._befores.get(node, {})

    def applied(self, node: int, step: str, says: str) -> None:
        self._send(self._record(node, step, _Kind.APPLIED, says))

    def skipped(self, node: int, step: str, reason: Reason) -> None:
        self._send(self._record(node, step, _Kind.SKIPPED, reason.message))

    def failed(self, node: int, step: str, reason: Reason) -> None:
        self._send(self._record(node, step, _Kind.FAILED, _sentence(reason)))
        self._send(lambda: self._results.failed(node, step, reason))

    def undone(self, node: int, step: str, says: str) -> None:
        self._send(self._record(node, step, _Kind.UNDONE, says))

    def undo_failed(self, node: int, step: str, reason: Reason) -> None:
        self._send(self._record(node, step, _Kind.UNDO_FAILED, _sentence(reason)))
        self._send(lambda: self._results.failed(node, step, reason))

    def held(self, node: int, step: str, says: str) -> None:
        self._send(self._record(node, step, _Kind.HELD, says))

    def released(self, node: int, step: str, says: str) -> None:
        self._send(self._record(node, step, _Kind.RELEASED, says))
        self._send(lambda: self._results.released(node, step))

    def verified(self, node: int, says: str) -> None:
        self._send(self._record(node, "verify", _Kind.VERIFIED, says))

    def note(self, node: int, says: str) -> None:
        self._send(self._record(node, "", _Kind.NOTE, says))

    def node_done(self, node: int, *, changed: bool, observation: State) -> None:
        self._send(lambda: self._results.done(node, changed=changed, observation=observation))

    def node_put_back(self, node: int, *, clean: bool, observation: State) -> None:
        self._send(lambda: self._results.put_back(node, clean=clean, observation=observation))

    def putting_back(self) -> None:
        self._commit(self._results.putting_back)

    def commit(self, write: Callable[[], None]) -> None:
        """Write something else of the add-on's own, and return once it is committed.

        Raises:
            LeaseLost: It could not be committed under this worker's lease.
        """
        self._commit(write)

    def _record(
        self, node: int, step: str, kind: _Kind, says: str = "", state: State | None = None
    ) -> StepRecord:
        return StepRecord(
            run_id=self._lease.run,
            node_id=node,
            attempt=self._lease.attempt,
            step=step,
            kind=kind,
            at=timezone.now(),
            # PostgreSQL keeps no NUL in text, and a node's answer may hold one.
            says=says.replace("\0", "\N{REPLACEMENT CHARACTER}"),
            state=dict(state or {}),
        )

    def _send(self, write: StepRecord | Callable[[], None]) -> _Entry:
        entry = _Entry(write)
        self._queue.put(entry)
        return entry

    def _commit(self, write: StepRecord | Callable[[], None]) -> None:
        entry = self._send(write)
        if not entry.done.wait(_ACK_SECONDS) or not entry.committed:
            raise LeaseLost("the record could not be committed under this worker's lease")

    def ended(self) -> None:
        """Wake the writer: the runner sends nothing more."""
        self._queue.put(None)

    # What the writer's thread calls.

    def pump(self) -> None:
        """Commit what comes until `ended` was called and all before it is committed."""
        looked = renewed = time.monotonic()
        try:
            while not self._ended:
                entries = self._waiting()
                now = time.monotonic()
                if entries or now - renewed > settings.RUN_LEASE_SECONDS / 4:
                    self._write(entries)
                    renewed = now
                if now - looked > _IDLE_SECONDS:
                    self._look_for_stop()
                    looked = now
        except BaseException:
            # Without a writer no step may begin: the threads stop, the lease runs out.
            self._lost.set()
            self._drop()
            raise

    def _waiting(self) -> list[_Entry]:
        entries: list[_Entry] = []
        try:
            entry = self._queue.get(timeout=_IDLE_SECONDS)
            while entry is not None:
                entries.append(entry)
                entry = self._queue.get_nowait()
            self._ended = True
        except queue.Empty:
            pass
        return entries

    def _write(self, entries: list[_Entry]) -> None:
        if not self._lost.is_set() and self._commit_all(entries):
            for entry in entries:
                entry.committed = True
        else:
            self._lost.set()
        for entry in entries:
            entry.done.set()

    def _commit_all(self, entries: list[_Entry]) -> bool:
        with transaction.atomic():
            if not self._renew():
                return False
            records: list[StepRecord] = []
            for entry in entries:
                if isinstance(entry.write, StepRecord):
                    records.append(entry.write)
                else:
                    entry.write()
            StepRecord.objects.bulk_create(records)
        return True

    def _renew(self) -> bool:
        until = timezone.now() + timedelta(seconds=settings.RUN_LEASE_SECONDS)
        return bool(held_by(self._lease).update(lease_until=until))

    def _look_for_stop(self) -> None:
        if Run.objects.filter(pk=self._lease.run, stop_requested=True).exists():
            self._stop.set()

    def _drop(self) -> None:
        while not self._queue.empty():
            entry = self._queue.get()
            if entry is not None:
                entry.done.set()


def _sentence(reason: Reason) -> str:
    return f"{reason.message} {reason.next_step}".strip()


def befores_of(run: int) -> dict[int, dict[str, Any]]:
    """Return the before-states recorded so far, by node and step."""
    found: dict[int, dict[str, Any]] = {}
    rows = StepRecord.objects.filter(run=run, kind=_Kind.BEFORE)
    for node, step, state in rows.values_list("node", "step", "state"):
        found.setdefault(node or 0, {})[step] = state
    return found
