"""``python -m tools.screenshots.site full|empty PORT``: a panel on which time stands still.

It prints the numbers that stand in its addresses, as JSON, and then serves until it is ended.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from panel.places import BASE_DIR


@dataclass(frozen=True, slots=True)
class Site:
    """A running panel.

    Args:
        numbers: What stands in addresses, by a name.
    """

    url: str
    numbers: dict[str, str]


@contextlib.contextmanager
def site(kind: str) -> Iterator[Site]:
    """Run one in a process of its own until the block ends.

    Args:
        kind: ``full`` or ``empty``.
    """
    with tempfile.TemporaryDirectory(prefix="redoubt-site-") as state:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("REDOUBT_", "DATABASE_"))}
        env = {**kept, "REDOUBT_STATE": state, "DJANGO_SETTINGS_MODULE": "panel.settings"}
        ready = [sys.executable, "manage.py", "setup"]
        subprocess.run(ready, cwd=BASE_DIR, env=env, check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, "-m", "tools.screenshots.site", kind]
        with subprocess.Popen(
            command, cwd=BASE_DIR, env=env, stdout=subprocess.PIPE, text=True
        ) as child:
            try:
                assert child.stdout is not None  # noqa: S101 -- a pipe was asked for
                told = child.stdout.readline()
                if not told:
                    raise RuntimeError(f"The {kind} panel did not start; its output says why.")
                answer = json.loads(told)
                yield Site(f"http://127.0.0.1:{answer['port']}", answer["numbers"])
            finally:
                child.terminate()


def _serve(kind: str) -> None:
    # Imported late: Django has to be set up first.
    import django  # noqa: PLC0415

    django.setup()
    import time_machine  # noqa: PLC0415
    from django.core.servers.basehttp import (  # noqa: PLC0415
        ThreadedWSGIServer,
        WSGIRequestHandler,
    )

    from panel.wsgi import application  # noqa: PLC0415
    from tools.screenshots.cast import Cast  # noqa: PLC0415
    from tools.screenshots.day import NOW  # noqa: PLC0415
    from tools.screenshots.story import story_tell  # noqa: PLC0415

    class Handler(WSGIRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Say nothing of each request."""

    with time_machine.travel(NOW, tick=False) as clock:
        cast = Cast(clock)
        numbers = story_tell(cast) if kind == "full" else {}
        server = ThreadedWSGIServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.set_app(application)
        sys.stdout.write(json.dumps({"port": server.server_port, "numbers": numbers}) + "\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
