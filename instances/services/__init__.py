"""Writes on environments, groups, machines, nodes, credentials and windows."""

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
from instances.services.windows import window_add, window_remove

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
    "window_add",
    "window_remove",
]
