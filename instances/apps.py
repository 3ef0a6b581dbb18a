"""What exists and how to reach it."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """Environments, node groups, machines, nodes, credentials, facts, the audit log."""

    name = "instances"

    def ready(self) -> None:
        """Make ``__prefix`` known to queries."""
        from instances import prefix  # noqa: F401, PLC0415 -- it needs the apps
