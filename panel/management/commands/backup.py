"""``manage.py backup FILE``."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from panel.backup import backup_write
from panel.management.passphrase import add_passphrase_file, read_passphrase
from panel.management.terminal import PanelCommand
from panel.setup import require_ready


class Command(PanelCommand):
    """Write database and keys into one encrypted file."""

    help = "Write the database, the key file and the secret key into one encrypted file."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path)
        add_passphrase_file(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Back up."""
        self.run_act(self._backup, Namespace(**options))

    def _backup(self, options: Namespace) -> None:
        require_ready()
        passphrase = read_passphrase(options, twice=True)
        backup_write(target=options.file, passphrase=passphrase, now=timezone.now())
        self.stdout.write(f"Backup: {options.file}. Keep it, and its pass-phrase, elsewhere.")
