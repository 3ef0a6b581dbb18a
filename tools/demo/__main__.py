"""``python -m tools.demo up [--port N]`` and ``down``."""

import argparse
import os
import signal
import sys
from types import FrameType

from lab import LabError
from tools.demo.place import STATE, DemoError, discard, sole_demo, stop_running


def main() -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args()
    try:
        return _up(options.port) if options.command == "up" else _down()
    except (DemoError, LabError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1


def _up(port: int) -> int:
    _settle_environment()
    # Imported late: Django reads the environment as it loads.
    from tools.demo.session import run_demo  # noqa: PLC0415

    # Until the demo handles it, SIGTERM too must come by `finally`.
    signal.signal(signal.SIGTERM, _interrupt)
    with sole_demo():
        return run_demo(port)


def _down() -> int:
    stopped = stop_running()
    with sole_demo():
        discard()
    sys.stdout.write(
        "The demo is gone.\n" if stopped else "No demo runs; nothing is left of one.\n"
    )
    return 0


def _settle_environment() -> None:
    """Point every process of the demo at its own state, whatever the shell's variables say."""
    for name in [name for name in os.environ if name.startswith("REDOUBT_")]:
        if not name.startswith("REDOUBT_LAB_"):
            del os.environ[name]
    for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
        os.environ.pop(name, None)
    os.environ["REDOUBT_STATE"] = str(STATE)
    os.environ["DJANGO_SETTINGS_MODULE"] = "panel.settings"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.demo")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--port", type=int, default=8000)
    commands.add_parser("down")
    return parser


if __name__ == "__main__":
    sys.exit(main())
