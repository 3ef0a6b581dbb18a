"""Writes on environments, groups, machines, nodes and credentials."""

from instances.services.credentials import credential_create
from instances.services.environments import (
    environment_create,
    environment_update,
    group_create,
    group_rename,
)
from instances.services.machines import machine_confirm_host_key, machine_forget_host_key
from instances.services.nodes import node_register, node_update, nodes_register
from instances.services.removal import (
    environment_remove,
    group_remove,
    node_remove,
    nothing_recorded,
)
from instances.services.request import NodeRequest, name_from

__all__ = [
    "NodeRequest",
    "credential_create",
    "environment_create",
    "environment_remove",
    "environment_update",
    "group_create",
    "group_remove",
    "group_rename",
    "machine_confirm_host_key",
    "machine_forget_host_key",
    "name_from",
    "node_register",
    "node_remove",
    "node_update",
    "nodes_register",
    "nothing_recorded",
]
