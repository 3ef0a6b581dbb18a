"""Registering nodes and changing what is stated of them. Nothing is contacted here."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from instances.audit import Actor, audit
from instances.errors import Invalid
from instances.models import Node, NodeGroup
from instances.services.machines import machine_for
from instances.services.request import NodeRequest, name_from
from instances.services.saving import save_clean

_STATED = frozenset(
    {"name", "unit", "config_path", "client_addresses", "server_username", "server_password"}
)


def node_register(*, actor: Actor, group: NodeGroup, request: NodeRequest) -> Node:
    """Register a server and, where it is new, its machine. Nothing is contacted here.

    Raises:
        Invalid: A field is not acceptable.
        NotFound: The named credential does not exist.
    """
    with transaction.atomic():
        machine = machine_for(actor=actor, request=request)
        node = Node(
            group=group,
            machine=machine,
            name=request.name or name_from(request.address),
            unit=request.unit,
            config_path=request.config_path,
            client_addresses=list(request.client_addresses) or [request.address],
            server_username=request.server_username,
            server_password=request.server_password,
        )
        save_clean(node)
        audit(actor, "node.register", node, group=str(group), address=str(machine))
    return node


def nodes_register(
    *, actor: Actor, group: NodeGroup, requests: Sequence[NodeRequest]
) -> list[Node]:
    """Register servers, all of them or none. Nothing is contacted here.

    Raises:
        Invalid: As `node_register`, with the address of the one that is not acceptable.
        NotFound: The named credential does not exist.
    """
    nodes = []
    with transaction.atomic():
        for request in requests:
            try:
                nodes.append(node_register(actor=actor, group=group, request=request))
            except Invalid as error:
                message = f"{request.address}: {error.reason.message}"
                raise Invalid(error.field, message, error.reason.next_step) from error
    return nodes


def node_update(*, actor: Actor, node: Node, changes: Mapping[str, Any]) -> Node:
    """Change what an operator states of a node.

    Args:
        changes: Of ``name``, ``unit``, ``config_path``, ``client_addresses``, ``server_username``
            and ``server_password``; what is absent stays.

    Raises:
        Invalid: A field is not acceptable.
    """
    for name in changes.keys() - _STATED:
        raise Invalid(name, f"“{name}” of a node cannot be changed.")
    with transaction.atomic():
        for name, value in changes.items():
            setattr(node, name, value)
        save_clean(node, only=changes)
        # Which fields, not their values: a password is among them.
        audit(actor, "node.update", node, fields=sorted(changes))
    return node
