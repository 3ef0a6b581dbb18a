"""Moving a node into another group, while nothing that add-ons did there is still on."""

from django.db import transaction

from addons.archiving import keepers_of
from instances.audit import Actor, audit
from instances.errors import Conflict, Invalid
from instances.models import Node, NodeGroup
from instances.topology import group_compare


def node_move(*, actor: Actor, node: Node, group: NodeGroup) -> None:
    """Have a node belong to another group of its environment; nothing happens on its machine.

    What an add-on is set to, and how it goes back, belongs to a group, so none may be on.

    Raises:
        Invalid: The group is the node's own, of another environment, or has a node of that name.
        Conflict: An add-on is on there, or a run has not ended.
    """
    former = node.group
    if group == former:
        raise Invalid("group", f"{node.name} is in {group.name} already.", "Choose another one.")
    if group.environment_id != former.environment_id:
        raise Invalid(
            "group",
            f"{group} is in another environment.",
            "Archive the node here and add it there: what is on record stays where it was.",
        )
    with transaction.atomic():
        # No run may be made there meanwhile: `run_create` holds the same rows.
        both = NodeGroup.objects.filter(pk__in=[former.pk, group.pk]).order_by("pk")
        list(both.select_for_update().values_list("pk"))
        keepers = keepers_of(node)
        if keepers:
            raise Conflict(keepers[0].reason)
        if group.nodes.filter(name=node.name).exists():
            raise Invalid(
                "group",
                f"{group.name} has a node {node.name} already.",
                "Rename one of them first.",
            )
        node.group = group
        node.save(update_fields=["group"])
        group_compare(group=former.pk)
        group_compare(group=group.pk)
        audit(actor, "node.move", node, before=str(former), after=str(group))
