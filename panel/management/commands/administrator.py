"""``manage.py administrator``: the first person who may sign in."""

from argparse import Namespace
from typing import Any

from django.core.management.base import CommandParser

from instances.secret import Secret
from panel.management.terminal import PanelCommand, read_secret_file, terminal_actor
from panel.setup import administrator_create, require_ready


class Command(PanelCommand):
    """Make an administrator with a random password, printed once."""

    help = "Make a user who may do everything. A random password is printed, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("name")
        parser.add_argument(
            "--password-file", metavar="FILE", help="take the password from FILE's first line"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the user."""
        self.run_act(self._create, Namespace(**options))

    def _create(self, options: Namespace) -> None:
        require_ready()
        given = options.password_file and Secret(
            read_secret_file(options.password_file, "password_file")
        )
        password = administrator_create(
            actor=terminal_actor(), name=options.name, password=given or None
        )
        self.stdout.write(f"Administrator {options.name} can sign in.")
        if not given:
            self.stdout.write(f"Password (shown once): {password.reveal()}")
