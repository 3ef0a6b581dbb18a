"""Asking for a pass-phrase, or reading it from a file; never from the command line."""

import argparse
import getpass

from instances.errors import Invalid
from instances.secret import Secret
from panel.management.terminal import UsageError, interactive, read_secret_file


def add_passphrase_file(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--passphrase-file", metavar="FILE", help="take the pass-phrase from FILE's first line"
    )


def read_passphrase(options: argparse.Namespace, *, twice: bool) -> Secret:
    """Return the pass-phrase.

    Args:
        twice: Have a new one typed again.

    Raises:
        UsageError: There is neither a file nor a terminal.
        Invalid: The file is empty, or the two differ.
    """
    if options.passphrase_file:
        return Secret(read_secret_file(options.passphrase_file, "passphrase"))
    if not interactive():
        raise UsageError("Nobody can be asked for the pass-phrase here: use --passphrase-file.")
    first = getpass.getpass("Pass-phrase: ")
    if twice and getpass.getpass("Again: ") != first:
        raise Invalid("passphrase", "The two pass-phrases differ.", "Try again.")
    return Secret(first)
