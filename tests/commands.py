"""Several management commands in one process, for to begin one takes longer than most of them.

Run as ``python -m tests.commands`` with their arguments as JSON lists, one list a line, on stdin.
"""

import json
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
    from django.core.management import execute_from_command_line

    for line in sys.stdin:
        # A command that fails ends the process, with its status.
        execute_from_command_line(["manage.py", *json.loads(line)])


if __name__ == "__main__":
    main()
