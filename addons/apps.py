"""What can be done to nodes."""

from django.apps import AppConfig


class AddonsConfig(AppConfig):
    """The catalogue, authorities, certificates, installations and runs."""

    name = "addons"

    def ready(self) -> None:
        """Say how the panel introduces itself to servers."""
        # Models can be imported only now.
        from addons.introducing import introduction  # noqa: PLC0415
        from instances.introduction import introduced_by  # noqa: PLC0415

        introduced_by(introduction)
