#!/usr/bin/env python3
"""Redoubt's command line: Django's commands and the panel's own (environment, node, addon, ...)."""

import os
import sys


def main() -> None:
    """Run one management command with the panel's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
