"""What all commands of the panel share: verbs, errors, exit statuses, output."""

import argparse
import getpass
import json
import os
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from kombu.exceptions import OperationalError as BrokerError
from rich.console import Console
from rich.table import Table

from instances.audit import Actor
from instances.errors import Conflict, DomainError, Invalid
from instances.keyring import KeyRingError
from instances.reason import Reason
from panel import checks
from panel.celery import app
from panel.setup import require_ready

Act = Callable[[argparse.Namespace], int | None]

_FILE_WIDTH = 400

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class UsageError(CommandError):
    """The command line asks for something that it cannot have."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=USAGE)


class PanelCommand(BaseCommand):
    """A command that ends with 0 if all is well, 1 if something failed, 2 if it was misused."""

    requires_system_checks = ()

    def run_act(self, act: Act, options: argparse.Namespace) -> None:
        """Call, and end the process where the answer is not 0."""
        try:
            status = act(options) or OK
        except (DomainError, KeyRingError, BrokerError) as error:
            self.complain(_reason(error))
            status = FAILED
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            status = INTERRUPTED
        if status:
            raise SystemExit(status)

    def complain(self, reason: Reason) -> None:
        """Say on standard error what is wrong and what to do next."""
        self.stderr.write(f"Error: {reason.message}")
        if reason.next_step:
            self.stderr.write(f"  Next: {reason.next_step}", self.style.NOTICE)

    def print_json(self, content: object) -> None:
        """Print for programs."""
        self.stdout.write(json.dumps(content, indent=2, default=str))

    @property
    def console(self) -> Console:
        """Standard output for people; plain and not wrapped where it is no terminal."""
        return Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)


class NounCommand(PanelCommand):
    """A noun whose verbs are sub-commands."""

    @abstractmethod
    def add_verbs(self, verbs: "Verbs") -> None:
        """Declare the verbs."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs on Django's parser."""
        self.add_verbs(Verbs(parser))

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what the verb says, once the panel is known to be set up."""
        self.run_act(self._when_ready, argparse.Namespace(**options))

    def _when_ready(self, options: argparse.Namespace) -> int | None:
        require_ready()
        self.check(tags=[checks.TAG])
        act: Act = options.act
        return act(options)


class Verbs:
    """The sub-commands of a noun."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._added = parser.add_subparsers(required=True, metavar="VERB", dest="verb")

    def add(self, name: str, act: Act, about: str) -> argparse.ArgumentParser:
        """Add a verb and return its parser."""
        parser: argparse.ArgumentParser = self._added.add_parser(
            name, help=about, description=about
        )
        parser.set_defaults(act=act)
        return parser

    def nest(self, name: str, about: str) -> "Verbs":
        """Add a noun below this one, and return its verbs."""
        return Verbs(self._added.add_parser(name, help=about, description=about))


def terminal_actor() -> Actor:
    """Return whoever typed the command, for the audit log."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return Actor(None, name, "terminal")


def interactive() -> bool:
    """Tell whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but yes is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def read_secret_file(path: str, field: str) -> str:
    """Return the first line of a file that holds a secret.

    Raises:
        Invalid: It cannot be read, or is empty.
    """
    lines = read_text(path, field).splitlines()
    if not lines or not lines[0]:
        raise Invalid(field, f"{path} is empty.", "Write the secret into its first line.")
    return lines[0]


def read_text(path: str, field: str) -> str:
    """Return a file's text.

    Raises:
        Invalid: It cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Invalid(field, f"{path} cannot be read: {why}.", "Check the path.") from error


def require_worker() -> None:
    """Return where the broker takes messages; else nothing that waits for a worker would end.

    Raises:
        Conflict: It does not answer.
    """
    try:
        with app.connection_for_write(connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, timeout=3, interval_start=1)
    except (BrokerError, OSError) as error:
        raise Conflict(_no_broker()) from error


def table(*columns: str, rows: Sequence[Sequence[str]]) -> Table:
    """Return rows as a table without a frame, for eyes and for `awk`."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def reason_of(fault: Mapping[str, str]) -> Reason:
    """Return a stored fault or failure as a reason."""
    return Reason(fault.get("reason", ""), fault.get("message", ""), fault.get("next_step", ""))


def _reason(error: Exception) -> Reason:
    match error:
        case DomainError():
            return error.reason
        case KeyRingError():
            return Reason(error.reason, error.message)
    return _no_broker()


def _no_broker() -> Reason:
    return Reason(
        "NoBroker",
        "The panel does not run: its broker does not answer, so no worker would hear of this.",
        "Start it with `manage.py start` in another terminal.",
    )
