"""``manage.py setup``: make a panel, or bring one up to date."""

import os
from argparse import Namespace
from typing import Any

from django.core.management.base import CommandParser

from panel.management.terminal import PanelCommand
from panel.setup import panel_setup


class Command(PanelCommand):
    """Make what is missing and keep what is there."""

    help = (
        "Make the state directory, the secrets, the database and the static files where they are "
        "missing. Run it again after an upgrade."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--no-static", action="store_true", help="leave out the static files (a worker alone)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Set up."""
        self.run_act(self._setup, Namespace(**options))

    def _setup(self, options: Namespace) -> None:
        os.umask(0o077)
        panel_setup(say=self.stdout.write, static=not options.no_static)
