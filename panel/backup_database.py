"""A consistent copy of the panel's database, and the way back."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

from django.db import connection

from instances.errors import Conflict, DomainError
from instances.reason import Reason

_SECONDS = 3600
_ERROR_CHARACTERS = 500


def database_copy(target: Path) -> None:
    """Write a copy as of one moment, while the panel may go on writing.

    Raises:
        DomainError: The database cannot be copied.
    """
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with contextlib.closing(sqlite3.connect(target)) as copy:
            connection.connection.backup(copy)
    else:
        _postgresql(["pg_dump", "--format=custom", "--no-owner", "--file", str(target)])


def database_put_back(source: Path) -> None:
    """Replace the database by a copy.

    Raises:
        DomainError: It cannot be replaced; it is as it was then.
    """
    connection.close()
    if connection.vendor == "sqlite":
        _replace_sqlite(source)
    else:
        restore = ["pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error"]
        _postgresql([*restore, "--single-transaction", "--dbname", _name(), str(source)])


def database_is_empty() -> bool:
    """Tell whether there is nothing to lose."""
    if connection.vendor == "sqlite" and not _in_memory() and not Path(_name()).exists():
        return True
    return not connection.introspection.table_names()


def _replace_sqlite(source: Path) -> None:
    path = Path(_name())
    half = path.with_name(f".{path.name}.restored")
    half.unlink(missing_ok=True)
    # A copy by SQLite itself, which fails where the source is no database.
    try:
        with (
            contextlib.closing(sqlite3.connect(source)) as found,
            contextlib.closing(sqlite3.connect(half)) as copy,
        ):
            found.backup(copy)
    except sqlite3.DatabaseError as error:
        half.unlink(missing_ok=True)
        raise DomainError(
            Reason("DatabaseDamaged", "The copy in the backup is damaged.")
        ) from error
    half.chmod(0o600)
    # The old database's journal would be played into the new one.
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    half.rename(path)


def _postgresql(argv: Sequence[str]) -> None:
    """Run a PostgreSQL program; how to connect goes by its environment, for argv is public."""
    known = connection.settings_dict
    variables = {
        "PGHOST": known["HOST"],
        "PGPORT": known["PORT"],
        "PGUSER": known["USER"],
        "PGPASSWORD": known["PASSWORD"],
        "PGDATABASE": known["NAME"],
        "PGSSLMODE": known.get("OPTIONS", {}).get("sslmode"),
    }
    environment = {**os.environ, **{k: str(v) for k, v in variables.items() if v}}
    try:
        done = subprocess.run(
            list(argv),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise Conflict(
            Reason(
                "NoPostgresqlClient",
                f"The program {argv[0]} is not there.",
                "Install PostgreSQL's client programs (postgresql-client on Debian).",
            )
        ) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_ERROR_CHARACTERS:]
        raise DomainError(
            Reason("PostgresqlFailed", f"{argv[0]} failed: {said}", "Mend that and try again.")
        )


def _name() -> str:
    return str(connection.settings_dict["NAME"])


def _in_memory() -> bool:
    return "memory" in _name()
