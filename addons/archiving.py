"""Archiving, while nothing that add-ons did there is still on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from addons.catalogue import addon_named
from addons.models import Certificate, Installation, NodeInstallation, Run
from instances.audit import Actor, audit
from instances.errors import Conflict
from instances.models import Environment, Node, NodeGroup
from instances.reason import Reason
from instances.services import archive
from instances.services.archive import Place

MOST = 8
_UNFINISHED = {
    Run.State.PREVIEWING: ("prepares its preview", "Wait for it, then discard it."),
    Run.State.PREVIEWED: ("waits for confirmation", "Confirm or discard it."),
    Run.State.QUEUED: ("is queued", "Wait for its end, or discard it."),
    Run.State.RUNNING: ("is under way", "Wait for its end, or stop it."),
    Run.State.PUTTING_BACK: ("is putting back", "Wait for its end."),
    Run.State.STUCK: ("is stuck", "Retry its put-back, or mark it as resolved."),
}


@dataclass(frozen=True, slots=True)
class Keeper:
    """What keeps a place from being archived or removed: a run, or an add-on that is on."""

    reason: Reason
    run: Run | None = None
    installation: Installation | None = None


def place_archive(*, actor: Actor, place: Place, now: datetime) -> None:
    """Archive an environment, a group or a node, with what is in it.

    Raises:
        Conflict: An add-on is on there, a run has not ended, or it is archived already.
    """
    with transaction.atomic():
        # No run may be made there meanwhile: `run_create` holds the same rows.
        list(_groups(place).select_for_update().values_list("pk"))
        keepers = keepers_of(place)
        if keepers:
            raise Conflict(keepers[0].reason)
        archive.place_archive(actor=actor, place=place, now=now)


def node_give_up(*, actor: Actor, node: Node, now: datetime) -> None:
    """Archive a node whose machine is gone for good, add-ons and all: nothing is undone there.

    Raises:
        Conflict: A run has not ended, or the node is archived already.
    """
    with transaction.atomic():
        list(_groups(node).select_for_update().values_list("pk"))
        unfinished = [keeper for keeper in keepers_of(node) if keeper.run]
        if unfinished:
            raise Conflict(unfinished[0].reason)
        on = NodeInstallation.objects.filter(node=node)
        addons = sorted(on.values_list("installation__addon", flat=True))
        on.delete()
        # What is on no node any more is off.
        Installation.objects.filter(group=node.group_id, nodes=None, generation__gt=0).update(
            generation=0, spec={}, wanted=False
        )
        Certificate.objects.filter(node=node, state=Certificate.State.SERVING).update(
            state=Certificate.State.REPLACED
        )
        audit(actor, "node.give_up", node, addons=addons)
        archive.place_archive(actor=actor, place=node, now=now)


def keepers_of(place: Place) -> Sequence[Keeper]:
    """Return what keeps a place, runs that have not ended first; `MOST` of each sort at most."""
    runs = Run.objects.filter(state__in=_UNFINISHED)
    on = Installation.objects.filter(generation__gt=0)
    match place:
        case Environment():
            runs = runs.filter(installation__group__environment=place)
            on = on.filter(group__environment=place)
        case NodeGroup():
            runs, on = runs.filter(installation__group=place), on.filter(group=place)
        case Node():
            runs, on = runs.filter(nodes__node=place), on.filter(nodes__node=place)
    runs = runs.select_related("installation__group__environment").order_by("-pk")[:MOST]
    on = on.select_related("group__environment").order_by("group__name", "addon")[:MOST]
    return [*map(_run, runs), *map(_installation, on)]


def _run(run: Run) -> Keeper:
    says, step = _UNFINISHED[Run.State(run.state)]
    group = run.installation.group
    return Keeper(Reason("RunUnfinished", f"Run {run.pk} on {group} {says}.", step), run=run)


def _installation(installation: Installation) -> Keeper:
    title = addon_named(installation.addon).title
    reason = Reason("AddOnOn", f"{title} is on in {installation.group}.", "Uninstall it first.")
    return Keeper(reason, installation=installation)


def _groups(place: Place) -> QuerySet[NodeGroup]:
    match place:
        case Environment():
            return NodeGroup.objects.filter(environment=place)
        case NodeGroup():
            return NodeGroup.objects.filter(pk=place.pk)
    return NodeGroup.objects.filter(pk=place.group_id)
