#!/usr/bin/env python3
"""Redoubt's command line: Django's commands and the panel's own (environment, node, addon, ...)."""

import importlib.util
import os
import sys
from pathlib import Path

OWN_PYTHON = Path(__file__).resolve().parent / ".venv" / "bin" / "python"


def main() -> None:
    """Run one management command with the panel's settings.

    Typed with another Python than the one that `make setup` filled, it goes on with that one.
    """
    if importlib.util.find_spec("django") is None and OWN_PYTHON.exists():
        os.execv(OWN_PYTHON, [str(OWN_PYTHON), *sys.argv])  # noqa: S606 -- no shell is wanted
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
