"""Putting things away with their record kept, and bringing them back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from instances.audit import Actor, audit
from instances.errors import Conflict
from instances.models import Environment, Node, NodeGroup
from instances.reason import Reason
from instances.topology import group_compare

Place = Environment | NodeGroup | Node
VERBS = {Environment: "environment", NodeGroup: "group", Node: "node"}


def place_archive(*, actor: Actor, place: Place, now: datetime) -> None:
    """Archive an environment, a group or a node, with what is in it.

    Call it where nothing is on there and no run needs it: `addons.archiving` sees to that.

    Raises:
        Conflict: It is archived already.
    """
    with transaction.atomic():
        *parts, itself = _rows(place)
        if not itself.filter(archived_at=None).update(archived_at=now):
            raise Conflict(Reason("Archived", f"{place} is archived already."))
        counts = [rows.filter(archived_at=None).update(archived_at=now) for rows in parts]
        _compare(place)
        audit(actor, f"{VERBS[type(place)]}.archive", place, **_counted(counts))
    place.archived_at = now


def place_restore(*, actor: Actor, place: Place) -> None:
    """Bring back what is archived, with what was archived with it.

    Raises:
        Conflict: It is not archived, what it belongs to is, or something else has its place.
    """
    with transaction.atomic():
        if place.archived_at is None:
            raise Conflict(Reason("NotArchived", f"{place} is not archived."))
        *parts, itself = [rows.filter(archived_at=place.archived_at) for rows in _rows(place)]
        _see_that_it_fits(place, parts[0] if parts else itself)
        counts = [rows.update(archived_at=None) for rows in (*parts, itself)]
        _compare(place)
        audit(actor, f"{VERBS[type(place)]}.restore", place, **_counted(counts[:-1]))
    place.archived_at = None


def _rows(place: Place) -> Sequence[QuerySet[Any]]:
    """Return what is archived with a place, the nodes first, the place itself last."""
    itself = type(place).recorded.filter(pk=place.pk)
    match place:
        case Environment():
            nodes = Node.recorded.filter(group__environment=place)
            return [nodes, NodeGroup.recorded.filter(environment=place), itself]
        case NodeGroup():
            return [Node.recorded.filter(group=place), itself]
    return [itself]


def _compare(place: Place) -> None:
    """See whether a group's nodes are of one mind without this one, or with it again."""
    if isinstance(place, Node):
        group_compare(group=place.group_id)


def _counted(counts: Sequence[int]) -> dict[str, int]:
    return dict(zip(("nodes", "groups"), counts, strict=False))


def _see_that_it_fits(place: Place, nodes: QuerySet[Node]) -> None:
    """See that nothing has taken the place's name or its servers meanwhile.

    Raises:
        Conflict: Something has, or what the place belongs to is archived.
    """
    whole, namesakes = _around(place)
    if whole is not None and whole.archived_at is not None:
        raise Conflict(
            Reason("WholeArchived", f"{whole} is archived too.", f"Restore {whole} first.")
        )
    if namesakes.filter(name=place.name).exists():
        raise Conflict(
            Reason(
                "NameTaken",
                f"There is another “{place.name}” now.",
                "Rename that one, then restore this one.",
            )
        )
    same = Node.objects.filter(machine=OuterRef("machine"), unit=OuterRef("unit"))
    taken = nodes.filter(Exists(same)).select_related("machine").first()
    if taken is not None:
        raise Conflict(
            Reason(
                "ServerTaken",
                f"{taken.name}: its server on {taken.machine} is registered anew.",
                "Archive or remove the new node, then restore.",
            )
        )


def _around(place: Place) -> tuple[Place | None, QuerySet[Any]]:
    """Return what a place belongs to, and what stands beside it there."""
    match place:
        case Environment():
            return None, Environment.objects.all()
        case NodeGroup():
            return place.environment, NodeGroup.objects.filter(environment=place.environment)
    return place.group, Node.objects.filter(group=place.group)
