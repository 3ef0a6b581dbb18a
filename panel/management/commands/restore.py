"""``manage.py restore FILE``."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from panel.backup import backup_restore
from panel.management.passphrase import add_passphrase_file, read_passphrase
from panel.management.terminal import PanelCommand


class Command(PanelCommand):
    """Put a panel back from a backup."""

    help = "Put database, key file and secret key back from a backup. The panel must not run."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path)
        add_passphrase_file(parser)
        parser.add_argument("--force", action="store_true", help="replace the panel that is there")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Restore."""
        self.run_act(self._restore, Namespace(**options))

    def _restore(self, options: Namespace) -> None:
        passphrase = read_passphrase(options, twice=False)
        backup_restore(
            source=options.file,
            passphrase=passphrase,
            force=options.force,
            say=self.stdout.write,
        )
        self.stdout.write("Restored. Run `manage.py setup`, then `manage.py start`.")
