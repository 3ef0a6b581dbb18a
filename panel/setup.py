"""What a panel needs before it starts: directory, secrets, database, static files.

Each part is made where it is missing and kept where it is there, so that setting up again after an
upgrade is the upgrade.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from instances.audit import Actor, audit
from instances.errors import Conflict, DomainError, Invalid
from instances.keyring import KeyRing, KeyRingError
from instances.models import KeyCheck
from instances.reason import Reason
from instances.secret import Secret
from instances.vault import key_ring
from panel.models import User

SECRET_KEY_FILE = "secret_key"  # noqa: S105 -- a file's name
_PASSWORD_BYTES = 15


def panel_setup(*, say: Callable[[str], None], static: bool = True) -> None:
    """Make what is missing.

    Args:
        say: Hears a line for each part that was made.
        static: Whether to collect the static files, which the web process serves.

    Raises:
        DomainError: A part cannot be made, or does not belong to the others.
    """
    _directory(settings.STATE_DIR, say)
    _secret_key(say)
    _key_file(say)
    _database(say)
    _key_check(say)
    if static:
        call_command("collectstatic", interactive=False, verbosity=0)
        say(f"Static files: {settings.STATIC_ROOT}")


def require_ready() -> None:
    """Return where the panel is set up and its key file is the one that the database needs.

    Raises:
        DomainError: It is not; the message says which part, and what to do.
    """
    if not _has_key_checks():
        raise Conflict(
            Reason(
                "NotSetUp",
                f"There is no panel in {settings.STATE_DIR}.",
                "Run `manage.py setup`; or point REDOUBT_STATE or DATABASE_URL at an existing one.",
            )
        )
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise Conflict(
            Reason("NotMigrated", "The database is of another version.", "Run `manage.py setup`.")
        )
    key_file_verify()


def key_file_verify() -> None:
    """Return where the key file opens what the database holds.

    Raises:
        Conflict: It does not, or there is none.
    """
    try:
        ring = key_ring()
        for token in KeyCheck.objects.values_list("token", flat=True):
            ring.verify_check(token)
    except KeyRingError as error:
        raise Conflict(
            Reason(
                f"KeyFile{error.reason}",
                f"The key file {settings.KEY_FILE} cannot be used with this database. "
                f"{error.message}",
                "Put back the key file that belongs to this database (`manage.py restore` does); "
                "or point REDOUBT_KEY_FILE at it.",
            )
        ) from error


def administrator_create(*, actor: Actor, name: str, password: Secret | None = None) -> Secret:
    """Make a user who may do everything, and return the password.

    Args:
        password: Random where none is given.

    Raises:
        Invalid: The name is taken, or the password is weak.
    """
    if User.objects.filter(username=name).exists():
        raise Invalid("name", f"There is a user “{name}” already.", "Choose another name.")
    secret = password or Secret(secrets.token_urlsafe(_PASSWORD_BYTES))
    user = User(username=name, is_staff=True, is_superuser=True)
    user.set_password(secret.reveal())
    try:
        validate_password(secret.reveal(), user)
        user.full_clean()
    except ValidationError as error:
        raise Invalid("name", " ".join(error.messages)) from error
    with transaction.atomic():
        user.save()
        audit(actor, "administrator.create", user)
    return secret


def _directory(path: Path, say: Callable[[str], None]) -> None:
    if not path.exists():
        path.mkdir(mode=0o700, parents=True)
        say(f"State directory: {path}")
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Conflict(
            Reason(
                "StateExposed",
                f"{path} is open to others than its owner, and would hold keys.",
                f"Run: chmod 700 {path}",
            )
        )


def _secret_key(say: Callable[[str], None]) -> None:
    path = settings.STATE_DIR / SECRET_KEY_FILE
    if os.environ.get("REDOUBT_SECRET_KEY") or path.exists():
        return
    value = secrets.token_urlsafe(50)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
    # This process loaded its settings before the file was there.
    settings.SECRET_KEY = value
    say(f"Secret key: {path}")


def _key_file(say: Callable[[str], None]) -> None:
    """Make a key file for a new database only: an existing one needs its own."""
    if not settings.KEY_FILE.exists() and not _has_key_checks():
        with contextlib.suppress(FileExistsError):
            settings.KEY_FILE.parent.mkdir(mode=0o700, parents=True)
        try:
            KeyRing.create(settings.KEY_FILE)
        except KeyRingError as error:
            if error.reason != "Exists":
                raise DomainError(Reason(f"KeyFile{error.reason}", error.message)) from error
        key_ring.cache_clear()
        say(f"Key file: {settings.KEY_FILE} -- back it up: without it every node is stranded")
    if _has_key_checks():
        key_file_verify()


def _database(say: Callable[[str], None]) -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)
        say(f"Database: {connection.vendor}, up to date")


def _key_check(say: Callable[[str], None]) -> None:
    if KeyCheck.objects.exists():
        return
    try:
        KeyCheck.objects.create(token=key_ring().check_token())
    except KeyRingError as error:
        raise DomainError(Reason(f"KeyFile{error.reason}", error.message)) from error
    say("Key check: stored")


def _has_key_checks() -> bool:
    # Asking SQLite makes an empty file where there is none.
    if not _database_exists():
        return False
    table = KeyCheck._meta.db_table  # noqa: SLF001 -- Django's public _meta
    return table in connection.introspection.table_names() and KeyCheck.objects.exists()


def _database_exists() -> bool:
    if connection.vendor != "sqlite":
        return True
    name = str(connection.settings_dict["NAME"])
    return "memory" in name or Path(name).exists()
