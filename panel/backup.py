"""Everything that a panel cannot do without, in one file: database, key file, secret key."""

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import connection

from instances.errors import Conflict, Invalid
from instances.keyring import KeyRing, KeyRingError
from instances.reason import Reason
from instances.secret import Secret
from instances.vault import key_ring
from panel.backup_database import database_copy, database_is_empty, database_put_back
from panel.backup_sealing import seal, unseal, write_private
from panel.setup import SECRET_KEY_FILE, key_file_verify
from panel.supervisor.lock import sole_use

MIN_PASSPHRASE = 8
_FORMAT = 1
_MANIFEST, _DATABASE, _KEYS, _SECRET = "manifest.json", "database", "keys.json", "secret_key"
_PARTS = {_MANIFEST, _DATABASE, _KEYS, _SECRET}


def backup_write(*, target: Path, passphrase: Secret, now: datetime) -> None:
    """Write a backup; the panel may run meanwhile.

    Raises:
        Invalid: The pass-phrase is short, or the file cannot be written.
        DomainError: The database cannot be copied.
    """
    _require_strong(passphrase)
    half = target.with_name(f".{target.name}.part")
    half.unlink(missing_ok=True)
    if target.exists():
        raise Invalid("file", f"{target} exists already.", "Choose another name.")
    try:
        with write_private(half) as sealed, _scratch() as directory:
            with (directory / "tar").open("w+b") as plain:
                _pack(plain, directory, now)
                plain.seek(0)
                seal(plain, sealed, passphrase)
            sealed.flush()
            os.fsync(sealed.fileno())
        half.rename(target)
    finally:
        half.unlink(missing_ok=True)


def backup_restore(
    *, source: Path, passphrase: Secret, force: bool, say: Callable[[str], None]
) -> None:
    """Replace this panel by the one in a backup.

    Args:
        force: Replace a panel that holds something; its secrets are kept beside the new ones.
        say: Hears a line for each part.

    Raises:
        Invalid: The file or the pass-phrase is not right.
        Conflict: The panel runs, or holds something, or uses another kind of database.
    """
    settings.STATE_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    with sole_use(settings.STATE_DIR), _scratch() as directory:
        parts = _unpack(source, passphrase, directory)
        _require_same_kind(parts[_MANIFEST])
        _require_empty(force=force)
        database_put_back(parts[_DATABASE])
        say(f"Database: {connection.vendor}")
        _replace(settings.KEY_FILE, parts[_KEYS].read_bytes())
        key_ring.cache_clear()
        say(f"Key file: {settings.KEY_FILE}")
        _replace(settings.STATE_DIR / SECRET_KEY_FILE, parts[_SECRET].read_bytes())
        say(f"Secret key: {settings.STATE_DIR / SECRET_KEY_FILE}")
        key_file_verify()


@contextmanager
def _scratch() -> Iterator[Path]:
    """A private directory in the state directory: what lies there is no safer than the original."""
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=settings.STATE_DIR) as name:
        yield Path(name)


def _pack(target: BinaryIO, directory: Path, now: datetime) -> None:
    copy = directory / _DATABASE
    database_copy(copy)
    manifest = {"format": _FORMAT, "database": connection.vendor, "at": now.isoformat()}
    with tarfile.open(fileobj=target, mode="w") as archive:
        _add(archive, _MANIFEST, json.dumps(manifest).encode())
        _add(archive, _KEYS, settings.KEY_FILE.read_bytes())
        _add(archive, _SECRET, str(settings.SECRET_KEY).encode() + b"\n")
        archive.add(copy, arcname=_DATABASE)
    copy.unlink()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _unpack(source: Path, passphrase: Secret, directory: Path) -> dict[str, Path]:
    """Open the backup as a whole, before anything is replaced."""
    with (directory / "tar").open("w+b") as plain:
        try:
            with source.open("rb") as sealed:
                unseal(sealed, plain, passphrase)
        except OSError as error:
            raise Invalid("file", f"{source} cannot be read: {error.strerror}.") from error
        plain.seek(0)
        with tarfile.open(fileobj=plain) as archive:
            archive.extractall(directory, filter="data")
    parts = {name: directory / name for name in _PARTS}
    if not all(path.is_file() for path in parts.values()):
        raise Invalid("file", "The backup is not complete.", "Choose another one.")
    try:
        parts[_KEYS].chmod(0o600)
        KeyRing.load(parts[_KEYS])
    except KeyRingError as error:
        raise Invalid("file", f"The backup's key file is damaged. {error.message}") from error
    return parts


def _require_same_kind(manifest: Path) -> None:
    found = json.loads(manifest.read_text())
    if found["format"] != _FORMAT:
        raise Conflict(
            Reason(
                "BackupFormat",
                "The backup is of a later version of Redoubt.",
                "Install that version first.",
            )
        )
    if found["database"] != connection.vendor:
        raise Conflict(
            Reason(
                "OtherDatabase",
                f"The backup is of a panel on {found['database']}, this one is on "
                f"{connection.vendor}.",
                "Set DATABASE_URL to a database of that kind.",
            )
        )


def _require_empty(*, force: bool) -> None:
    if force or (database_is_empty() and not settings.KEY_FILE.exists()):
        return
    raise Conflict(
        Reason(
            "NotEmpty",
            f"There is a panel in {settings.STATE_DIR} already, which this would replace.",
            "Back it up, then add --force; or restore into another REDOUBT_STATE.",
        )
    )


def _require_strong(passphrase: Secret) -> None:
    if len(passphrase.reveal()) < MIN_PASSPHRASE:
        raise Invalid(
            "passphrase",
            f"The pass-phrase has less than {MIN_PASSPHRASE} characters.",
            "Choose a longer one: whoever opens the backup can log in to every node.",
        )


def _replace(path: Path, content: bytes) -> None:
    """Put a secret in place; the one that was there is kept beside it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.restored")
    half.unlink(missing_ok=True)
    with write_private(half) as file:
        file.write(content)
    if path.exists() and path.read_bytes() != content:
        path.rename(path.with_name(f"{path.name}.before-restore"))
    half.rename(path)
