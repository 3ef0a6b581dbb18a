"""A PostgreSQL of the tests' own, on a Unix socket, gone with them."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

USER = "postgres"


def _program(name: str) -> str:
    """Debian keeps a version's programs out of the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(versions[-1]) if versions else shutil.which(name)
    assert found, f"{name} is missing: `make packages` installs PostgreSQL"
    return found


def _as_postgres(*argv: str) -> None:
    # PostgreSQL refuses to run as root.
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--", *argv]
    subprocess.run(command, check=True, timeout=60, capture_output=True, cwd="/")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a server and yield the DATABASE_URL of an empty database."""
    home = Path(tempfile.mkdtemp(prefix="redoubt-pg-"))
    shutil.chown(home, USER, USER)
    cluster = home / "cluster"
    try:
        _as_postgres(_program("initdb"), "-D", str(cluster), "-A", "trust", "-E", "UTF8", "-N")
        options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
        _as_postgres(
            _program("pg_ctl"),
            "-D",
            str(cluster),
            "-w",
            "-l",
            f"{home}/log",
            "-o",
            options,
            "start",
        )
        try:
            yield f"postgres://{USER}@{str(home).replace('/', '%2F')}/postgres"
        finally:
            _as_postgres(_program("pg_ctl"), "-D", str(cluster), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)
