"""Backing up and restoring: losing the keys strands every node."""

import io
import json
import os
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instances.errors import Invalid
from instances.secret import Secret
from panel.backup import backup_write
from panel.backup_sealing import seal, unseal
from tests.cli.conftest import Call, Manage

pytestmark = pytest.mark.processes

_PHRASE = "correct horse battery"


@pytest.fixture
def phrase(tmp_path: Path) -> str:
    path = tmp_path / "phrase"
    path.write_text(_PHRASE + "\n")
    return str(path)


def test_a_backup_brings_back_the_database_and_what_opens_it(
    state: Path, manage: Manage, phrase: str, tmp_path: Path
) -> None:
    public = manage(state, "credential", "add", "main").stdout.strip()
    file, other = tmp_path / "panel.backup", tmp_path / "other"
    options = (str(file), "--passphrase-file", phrase)
    done = manage(state, "backup", *options)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"SQLite" not in file.read_bytes()
    assert (state / "secret_key").read_bytes().strip() not in file.read_bytes()

    restored = manage(other, "restore", *options)
    assert restored.returncode == 0, restored.stderr
    assert (other / "keys.json").read_bytes() == (state / "keys.json").read_bytes()
    assert _credentials(other) == [("main", public)]

    _forget_credentials(other)
    refused = manage(other, "restore", *options)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert _credentials(other) == []
    forced = manage(other, "restore", *options, "--force")
    assert forced.returncode == 0, forced.stderr
    # Reading a credential needs the key file.
    listed = manage(other, "credential", "list", "--json").stdout
    assert json.loads(listed) == [{"name": "main", "public_key": public}]
    assert not list(other.glob(".*"))
    assert not list(state.glob(".*"))


def _credentials(state: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(state / "panel.sqlite3")) as database:
        return database.execute("SELECT name, public_key FROM instances_credential").fetchall()


def _forget_credentials(state: Path) -> None:
    with closing(sqlite3.connect(state / "panel.sqlite3")) as database, database:
        database.execute("DELETE FROM instances_credential")


def test_a_backup_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "panel.backup"
    file.write_text("something")
    with pytest.raises(Invalid, match="exists already"):
        backup_write(target=file, passphrase=Secret(_PHRASE), now=datetime.now(UTC))
    assert file.read_text() == "something"
    assert list(tmp_path.glob(".*")) == []


def test_a_short_pass_phrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="less than 8"):
        backup_write(target=tmp_path / "b", passphrase=Secret("short"), now=datetime.now(UTC))
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_the_pass_phrase_comes_from_a_file(call: Call, tmp_path: Path) -> None:
    said = call("backup", str(tmp_path / "b"))
    assert said.status == 2
    assert "--passphrase-file" in said.err


def _sealed(content: bytes) -> bytes:
    target = io.BytesIO()
    seal(io.BytesIO(content), target, Secret(_PHRASE))
    return target.getvalue()


def _opened(sealed: bytes, phrase: str = _PHRASE) -> bytes:
    target = io.BytesIO()
    unseal(io.BytesIO(sealed), target, Secret(phrase))
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1])
def test_what_is_sealed_opens_again(size: int) -> None:
    content = os.urandom(size)
    assert _opened(_sealed(content)) == content


def test_a_wrong_pass_phrase_opens_nothing() -> None:
    with pytest.raises(Invalid, match="pass-phrase is wrong"):
        _opened(_sealed(b"content"), "another phrase")


@pytest.mark.parametrize("place", [20, 60, -1])
def test_an_altered_backup_does_not_open(place: int) -> None:
    sealed = bytearray(_sealed(b"content"))
    sealed[place] ^= 1
    with pytest.raises(Invalid):
        _opened(bytes(sealed))


def test_a_backup_that_was_cut_off_does_not_open() -> None:
    piece = 4 * 1024 * 1024
    sealed = _sealed(os.urandom(2 * piece))
    with pytest.raises(Invalid):
        _opened(sealed[: -piece - 16])
