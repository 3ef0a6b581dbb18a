"""What people ask of several node groups by one click: a run for each, which share a bundle."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

from django.db import transaction

from addons.models import Run
from addons.runs.services import run_confirm, run_create, run_discard, run_repeat, run_stop
from addons.selectors import runs_of_bundle
from instances.audit import Actor
from instances.errors import Conflict
from instances.models import NodeGroup
from instances.reason import Reason


def runs_create(
    *,
    actor: Actor,
    groups: Iterable[NodeGroup],
    addon: str,
    action: str,
    settings: Mapping[str, str],
) -> list[Run]:
    """Have the preview of an action made on each of some groups; for all of them, or for none.

    A single group's run has no bundle: its own page shows all there is.

    Raises:
        NotFound, Invalid, Conflict: As `run_create`, for the first group that is not fit.
    """
    among = list(groups)
    bundle = _bundle_for(among)
    with transaction.atomic():
        return [
            run_create(
                actor=actor,
                group=group,
                addon=addon,
                action=action,
                settings=settings,
                confirmed=False,
                bundle=bundle,
            )
            for group in among
        ]


def runs_confirm(*, actor: Actor, bundle: uuid.UUID) -> list[Run]:
    """Start every run of a bundle whose preview succeeded, and return the others, left out.

    Raises:
        Conflict: A preview is still being made, or none waits for that.
    """
    runs = runs_of_bundle(bundle)
    ready = [run for run in runs if run.state == Run.State.PREVIEWED]
    if any(run.state == Run.State.PREVIEWING for run in runs):
        raise _not_now("Not every preview is ready yet.", "Wait for the last one.")
    if not ready:
        raise _not_now("None of these previews waits for a confirmation.")
    with transaction.atomic():
        for run in ready:
            run_confirm(actor=actor, run=run)
    return [run for run in runs if run not in ready]


def runs_discard(*, actor: Actor, bundle: uuid.UUID) -> None:
    """Drop every run of a bundle that has not begun.

    Raises:
        Conflict: All have begun, or ended.
    """
    dropped = [run for run in runs_of_bundle(bundle) if _went(run_discard, actor, run)]
    if not dropped:
        raise _not_now("None of these runs is still to begin.")


def runs_stop(*, actor: Actor, bundle: uuid.UUID) -> list[Run]:
    """Stop what is under way in a bundle, drop what has not begun, and return the runs concerned.

    A group whose run is done stays as it is.

    Raises:
        Conflict: Nothing of it is under way.
    """
    # What has not begun is dropped first: it could begin in between, and is then stopped.
    stopped = [
        run
        for run in runs_of_bundle(bundle)
        if _went(run_discard, actor, run) or _went(run_stop, actor, run)
    ]
    if not stopped:
        raise _not_now("Nothing here is under way any more.")
    return stopped


def runs_repeat(*, actor: Actor, bundle: uuid.UUID) -> list[Run]:
    """Have new previews made for the groups of a bundle whose run failed.

    Raises:
        Conflict: None has failed, or a group is no longer fit for it.
    """
    failed = [run for run in runs_of_bundle(bundle) if run.state in Run.REPEATABLE]
    if not failed:
        raise _not_now("None of these runs has failed.")
    together = _bundle_for(failed)
    with transaction.atomic():
        return [run_repeat(actor=actor, run=run, bundle=together) for run in failed]


def _went(service: Callable[..., None], actor: Actor, run: Run) -> bool:
    """Try a service; False where the run's state forbids it."""
    try:
        service(actor=actor, run=run)
    except Conflict:
        return False
    return True


def _bundle_for(members: Sequence[object]) -> uuid.UUID | None:
    return uuid.uuid4() if len(members) > 1 else None


def _not_now(message: str, next_step: str = "Reload the page to see where they stand.") -> Conflict:
    return Conflict(Reason("WrongState", message, next_step))
