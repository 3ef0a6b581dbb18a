"""What people ask of runs: make, confirm, stop, resolve. Nothing here speaks to a node."""

import uuid
from collections.abc import Collection, Mapping, Sequence

from django.db import transaction
from django.db.models import F

from addons.actions import INSTALL
from addons.catalogue import addon_named
from addons.models import PATIENCE, Installation, Run, RunNode
from addons.runs.bell import ring
from addons.runs.machines import machines_free
from instances.audit import Actor, audit
from instances.errors import Conflict, Invalid
from instances.models import Node, NodeGroup
from instances.reason import Reason


def run_create(
    *,
    actor: Actor,
    group: NodeGroup,
    addon: str,
    action: str,
    settings: Mapping[str, str],
    confirmed: bool,
    bundle: uuid.UUID | None = None,
    nodes: Collection[int] | None = None,
    cause: str = "",
) -> Run:
    """Ask for an action on the nodes of a group.

    Args:
        settings: Key to text; what is absent keeps its stored value, or its default.
        confirmed: True starts the change at once; False only prepares the preview, which
            `run_confirm` then starts.
        nodes: The keys of those that it is about; all of them where None.
        cause: Why the panel asks for it by itself.

    Raises:
        NotFound: There is no such add-on.
        Invalid: A setting is not acceptable, or the action is one for whole groups.
        Conflict: The group has no nodes, or the add-on is not installed.
    """
    kind = addon_named(addon)
    if action not in kind.actions:
        raise Invalid("action", f"{kind.title} has no action “{action}”.")
    if nodes is not None and not kind.actions[action].partial:
        raise Invalid("nodes", f"“{action}” is about all nodes of a group.")
    with transaction.atomic():
        held = _nodes_held(group, nodes)
        installation = _installation(group, addon, action, held)
        spec = kind.parse({**_as_text(installation.spec), **settings})
        run = Run.objects.create(
            installation=installation,
            action=action,
            cause=cause,
            spec=spec,
            state=Run.State.QUEUED if confirmed else Run.State.PREVIEWING,
            actor_id=actor.user_id,
            actor_name=actor.name,
            bundle=bundle,
        )
        RunNode.objects.bulk_create(
            RunNode(run=run, node=node, position=place) for place, node in enumerate(held)
        )
        why = {"cause": cause} if cause else {}
        audit(actor, f"run.{'start' if confirmed else 'preview'}", run, spec=spec, **why)
    ring(run.pk)
    return run


def run_confirm(*, actor: Actor, run: Run) -> None:
    """Start the change that a preview showed.

    Raises:
        Conflict: The run is not waiting for that.
    """
    with transaction.atomic():
        _move(run, [Run.State.PREVIEWED], Run.State.QUEUED)
        audit(actor, "run.confirm", run)
    ring(run.pk)


def run_discard(*, actor: Actor, run: Run) -> None:
    """Drop a preview that nobody wants to carry out, or a queued run that has not begun.

    Raises:
        Conflict: The run has begun.
    """
    with transaction.atomic():
        _move(
            run,
            [Run.State.PREVIEWING, Run.State.PREVIEWED, Run.State.QUEUED],
            Run.State.DISCARDED,
        )
        audit(actor, "run.discard", run)


def run_stop(*, actor: Actor, run: Run) -> None:
    """Ask a running run to stop before its next step and put back what it changed.

    Raises:
        Conflict: It is not running.
    """
    with transaction.atomic():
        stopped = Run.objects.filter(pk=run.pk, state=Run.State.RUNNING).update(stop_requested=True)
        if not stopped:
            raise _not_in_state(run, "it is not running")
        audit(actor, "run.stop", run)


def run_repeat(*, actor: Actor, run: Run, bundle: uuid.UUID | None = None) -> Run:
    """Ask again for what a run did not reach: the same action and settings, with a new preview.

    Where it was about some nodes of the group it is about those again.

    Raises:
        Conflict: The run has not failed, or the group is no longer fit for it.
        Invalid: This version of the add-on no longer takes one of the settings.
    """
    if run.state not in Run.REPEATABLE:
        raise _not_in_state(run, "it has not failed, so there is nothing to retry")
    group, addon = run.installation.group, run.installation.addon
    partial = addon_named(addon).actions[run.action].partial
    with transaction.atomic():
        again = run_create(
            actor=actor,
            group=group,
            addon=addon,
            action=run.action,
            settings=_as_text(run.spec),
            confirmed=False,
            bundle=bundle,
            nodes=set(run.nodes.values_list("node", flat=True)) if partial else None,
        )
        audit(actor, "run.repeat", again, of=run.pk)
    return again


def run_retry_put_back(*, actor: Actor, run: Run) -> None:
    """Try again to put back what a stuck run left.

    Raises:
        Conflict: The run is not stuck.
    """
    with transaction.atomic():
        _move(
            run,
            [Run.State.STUCK],
            Run.State.PUTTING_BACK,
            lease_until=None,
            lease_holder="",
            patience=F("attempt") + PATIENCE,
        )
        audit(actor, "run.retry_put_back", run)
    ring(run.pk)


def run_resolve(*, actor: Actor, run: Run, note: str) -> None:
    """Record that a person put a stuck run right by hand, and let its machines go.

    Raises:
        Conflict: The run is not stuck.
    """
    with transaction.atomic():
        _move(run, [Run.State.STUCK], Run.State.RESOLVED)
        machines_free(run)
        audit(actor, "run.resolve", run, note=note)


def _nodes_held(group: NodeGroup, among: Collection[int] | None) -> list[Node]:
    """Return the group's nodes; until the transaction ends the group is not archived.

    Args:
        among: Which of them; all where None.

    Raises:
        Conflict: It is archived already.
    """
    if not NodeGroup.objects.select_for_update().filter(pk=group.pk).exists():
        raise Conflict(Reason("Archived", f"{group} is archived.", "Restore it first."))
    nodes = group.nodes.order_by("name")
    return list(nodes if among is None else nodes.filter(pk__in=among))


def _installation(group: NodeGroup, addon: str, action: str, nodes: Sequence[Node]) -> Installation:
    if not nodes:
        raise Conflict(
            Reason("NoNodes", f"{group} has no nodes.", "Add a node to the group first.")
        )
    if action == INSTALL:
        return Installation.objects.get_or_create(group=group, addon=addon)[0]
    found = Installation.objects.filter(group=group, addon=addon, generation__gt=0).first()
    if found is None:
        raise Conflict(
            Reason("NotInstalled", f"{addon_named(addon).title} is not installed on {group}.")
        )
    return found


def _as_text(spec: Mapping[str, object]) -> dict[str, str]:
    return {
        key: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in spec.items()
    }


def _move(run: Run, allowed: Sequence[Run.State], state: Run.State, **more: object) -> None:
    """Compare and swap the state."""
    if not Run.objects.filter(pk=run.pk, state__in=allowed).update(state=state, **more):
        raise _not_in_state(run, "its state has changed meanwhile")
    run.refresh_from_db()


def _not_in_state(run: Run, why: str) -> Conflict:
    run.refresh_from_db()
    return Conflict(
        Reason(
            "WrongState",
            f"Run {run.pk} is “{run.get_state_display()}”: {why}.",
            "Reload the page to see where it stands.",
        )
    )
