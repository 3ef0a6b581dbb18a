"""What exists and how to reach it."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """Environments, node groups, machines, nodes, credentials, facts, the audit log."""

    name = "instances"
