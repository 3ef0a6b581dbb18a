"""Carries a run out: claim it, run the engine in threads, write down how it ended."""

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from addons.actions import UNINSTALL
from addons.catalogue import addon_named
from addons.engine.runner import Outcome, Runner
from addons.models import PATIENCE, Certificate, Installation, NodeInstallation, Run, RunNode
from addons.runs.claim import Lease, held_by, run_claim
from addons.runs.explain import explain
from addons.runs.journal import DatabaseJournal, befores_of
from addons.runs.machines import machines_free
from addons.runs.results import NodeResults
from addons.runs.work import NodeWork, works_of
from addons.session import NodeSession
from instances.audit import PANEL, audit
from instances.errors import fault
from instances.reason import Reason

logger = logging.getLogger(__name__)

TOO_MANY_ATTEMPTS = Reason(
    "TooManyAttempts",
    f"{PATIENCE} workers in a row died of this run.",
    "The workers' logs say why. Then retry the put-back.",
)

_ENDS = {
    Outcome.SUCCEEDED: Run.State.SUCCEEDED,
    Outcome.PUT_BACK: Run.State.PUT_BACK,
    Outcome.REFUSED: Run.State.REFUSED,
    Outcome.STUCK: Run.State.STUCK,
}


def run_drive(*, run: int, clock: Callable[[], datetime] = timezone.now) -> None:
    """Take the run if it is to be taken, and carry it out to an end.

    Delivered twice, late or for a run that has ended, this does nothing.
    """
    lease = run_claim(run=run, holder=str(uuid.uuid4()), now=clock())
    if lease is None:
        return
    logger.info("run %s: attempt %s begins", lease.run, lease.attempt)
    taken = Run.objects.select_related("installation__group__environment").get(pk=run)
    outcome = _carry_out(lease, taken)
    logger.info("run %s: attempt %s ends: %s", lease.run, lease.attempt, outcome.value)
    if outcome is not Outcome.ABANDONED:
        run_end(run=taken, lease=lease, outcome=outcome, now=clock())


def _carry_out(lease: Lease, run: Run) -> Outcome:
    """Plan and run; a run that cannot even be planned ends here, with its cause."""
    befores = befores_of(run.pk)
    unplanned = Outcome.STUCK if befores else Outcome.REFUSED
    if lease.attempt > run.patience:
        return _give_up(run, TOO_MANY_ATTEMPTS, unplanned)
    journal = DatabaseJournal(lease, NodeResults(run), befores)
    try:
        works = works_of(run, lease, journal)
    except Exception as error:  # noqa: BLE001 -- whatever it is becomes the run's failure
        return _give_up(run, explain(error), unplanned)
    return _engine(lease, run, journal, works)


def _give_up(run: Run, reason: Reason, outcome: Outcome) -> Outcome:
    failure = fault(reason) | {"node": "", "step": "prepare"}
    Run.objects.filter(pk=run.pk, failure={}).update(failure=failure)
    return outcome


def _engine(lease: Lease, run: Run, journal: DatabaseJournal, works: Sequence[NodeWork]) -> Outcome:
    """Run the engine in a thread of its own, while this one writes what it sends."""
    runner: Runner[NodeSession] = Runner(journal, explain, takeover=lease.takeover)
    if run.state == Run.State.PREVIEWING:
        action = runner.look
    else:
        action = runner.back if lease.back else runner.forward
    outcome = Outcome.ABANDONED

    def engine() -> None:
        nonlocal outcome
        try:
            outcome = action(works)
        finally:
            journal.ended()

    thread = threading.Thread(target=engine, name=f"run-{run.pk}", daemon=True)
    thread.start()
    journal.pump()
    thread.join()
    return outcome


def run_end(*, run: Run, lease: Lease, outcome: Outcome, now: datetime) -> None:
    """Write down how a run ended, if this worker still holds it, and let its machines go."""
    preview = run.state == Run.State.PREVIEWING
    ready = preview and outcome is Outcome.SUCCEEDED
    state = Run.State.PREVIEWED if ready else _ENDS[outcome]
    with transaction.atomic():
        mine = held_by(lease)
        if not mine.update(state=state, ended_at=None if ready else now, lease_until=None):
            return
        audit(PANEL, f"run.{state}", run)
        if preview:
            return
        if outcome is not Outcome.STUCK:
            machines_free(run)
        _settle_certificates(run, outcome)
        if outcome is Outcome.SUCCEEDED:
            _settle_installation(run)


def _settle_installation(run: Run) -> None:
    installation = Installation.objects.filter(pk=run.installation_id)
    rows = NodeInstallation.objects.filter(installation=run.installation_id)
    if run.action == UNINSTALL:
        installation.update(spec={}, wanted=False, generation=0)
        rows.delete()
    elif addon_named(run.installation.addon).actions[run.action].configures:
        generation = run.installation.generation + 1
        installation.update(spec=run.spec, wanted=True, generation=generation)
        # Whoever was not part of the run was not looked at with these settings.
        rows.filter(observed_generation__lt=generation).update(
            health=NodeInstallation.Health.UNKNOWN
        )


def _settle_certificates(run: Run, outcome: Outcome) -> None:
    """A certificate issued in a run serves, or is abandoned: its key never arrived or is gone."""
    issued = Certificate.objects.filter(run=run, state=Certificate.State.ISSUED)
    if outcome is Outcome.SUCCEEDED:
        serving = NodeInstallation.objects.filter(installation=run.installation_id).values_list(
            "observed__fingerprint", "observed__client_fingerprint"
        )
        fingerprints = {value for pair in serving for value in pair if value}
        nodes = RunNode.objects.filter(run=run).values("node")
        Certificate.objects.filter(node__in=nodes, state=Certificate.State.SERVING).exclude(
            fingerprint__in=fingerprints
        ).update(state=Certificate.State.REPLACED)
        issued.filter(fingerprint__in=fingerprints).update(state=Certificate.State.SERVING)
    issued.update(state=Certificate.State.ABANDONED)
