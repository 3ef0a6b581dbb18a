"""The panel's Django app."""

from django.apps import AppConfig


class PanelConfig(AppConfig):
    """Users, sign-in and the pages that compose the other rooms."""

    name = "panel"

    def ready(self) -> None:
        """Register the system checks."""
        from panel import checks  # noqa: F401, PLC0415 -- registration by import, once apps exist
