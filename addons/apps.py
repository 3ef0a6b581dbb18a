"""What can be done to nodes."""

from django.apps import AppConfig


class AddonsConfig(AppConfig):
    """The catalogue, authorities, certificates, installations and runs."""

    name = "addons"
