"""Removing what has no record. What has one is archived instead: see archive.py."""

from django.db import models, transaction

from instances.audit import Actor, audit
from instances.errors import Conflict
from instances.models import Environment, Machine, Node, NodeGroup
from instances.reason import Reason
from instances.topology import group_compare


def environment_remove(*, actor: Actor, environment: Environment) -> None:
    """Remove an environment without groups.

    Raises:
        Conflict: It has groups, or there is a record of it to keep.
    """
    _remove(actor, "environment.remove", environment, environment.groups.count(), "node group")


def group_remove(*, actor: Actor, group: NodeGroup) -> None:
    """Remove a node group without nodes.

    Raises:
        Conflict: It has nodes, or there is a record of it to keep.
    """
    _remove(actor, "group.remove", group, group.nodes.count(), "node")


def node_remove(*, actor: Actor, node: Node) -> None:
    """Forget a node, and its machine where nothing else is on it. The server goes on as it is.

    Raises:
        Conflict: There is a record of it to keep: an add-on, runs, certificates.
    """
    machine, group = node.machine, str(node.group)
    with transaction.atomic():
        _remove(actor, "node.remove", node, group=group, address=str(machine))
        group_compare(group=node.group_id)
        # A machine through which others are reached stays.
        leads_on = Machine.objects.filter(jump_host=machine).exists()
        if not leads_on and not Node.recorded.filter(machine=machine).exists():
            machine.delete()


def nothing_recorded(place: Environment | NodeGroup | Node) -> bool:
    """Say whether a place is empty and without a record, so that it can be removed."""
    return not any(
        relation.related_model._base_manager.filter(**{relation.field.name: place}).exists()  # noqa: SLF001
        for relation in place._meta.related_objects  # noqa: SLF001 -- Django's own, documented
        if relation.on_delete is not models.CASCADE
    )


def _remove(
    actor: Actor, verb: str, target: models.Model, holds: int = 0, part: str = "", **detail: str
) -> None:
    """Delete a row that nothing refers to.

    Args:
        holds: How many parts it still has.
        part: What one of them is called.

    Raises:
        Conflict: It has parts, or other rows refer to it.
    """
    if holds:
        parts = part if holds == 1 else f"{part}s"
        raise Conflict(
            Reason("NotEmpty", f"{target} has {holds} {parts}.", f"Remove the {parts} first.")
        )
    name = str(target)
    try:
        with transaction.atomic():
            target.delete()
            audit(actor, verb, name, **detail)
    except models.ProtectedError as error:
        raise Conflict(
            Reason(
                "HasRecord",
                f"{name} cannot be removed: what Redoubt did there is on record, and is kept.",
                "Archive it instead.",
            )
        ) from error
