"""Backing up and restoring: losing the keys strands every node."""

import io
import os
import stat
from pathlib import Path

import pytest

from instances.errors import Invalid
from instances.secret import Secret
from panel.backup_sealing import seal, unseal
from tests.cli.conftest import Manage

_PHRASE = "correct horse battery"


@pytest.fixture
def phrase(tmp_path: Path) -> str:
    path = tmp_path / "phrase"
    path.write_text(_PHRASE + "\n")
    return str(path)


def test_a_backup_brings_back_the_database_and_what_opens_it(
    state: Path, manage: Manage, phrase: str, tmp_path: Path
) -> None:
    assert manage(state, "environment", "add", "shop").returncode == 0
    assert manage(state, "credential", "add", "main").returncode == 0
    public = manage(state, "credential", "list", "--json").stdout
    file = tmp_path / "panel.backup"
    done = manage(state, "backup", str(file), "--passphrase-file", phrase)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    other = tmp_path / "other"
    restored = manage(other, "restore", str(file), "--passphrase-file", phrase)
    assert restored.returncode == 0, restored.stderr
    assert manage(other, "setup", "--no-static").returncode == 0
    assert '"shop"' in manage(other, "environment", "list", "--json").stdout
    # Reading a credential needs the key file.
    assert manage(other, "credential", "list", "--json").stdout == public
    assert (other / "keys.json").read_bytes() == (state / "keys.json").read_bytes()
    assert not list(other.glob(".*"))
    assert not list(state.glob(".*"))


def test_a_panel_that_holds_something_is_replaced_only_by_force(
    state: Path, manage: Manage, phrase: str, tmp_path: Path
) -> None:
    file = tmp_path / "panel.backup"
    assert manage(state, "backup", str(file), "--passphrase-file", phrase).returncode == 0
    manage(state, "environment", "add", "later")
    refused = manage(state, "restore", str(file), "--passphrase-file", phrase)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert '"later"' in manage(state, "environment", "list", "--json").stdout
    forced = manage(state, "restore", str(file), "--passphrase-file", phrase, "--force")
    assert forced.returncode == 0, forced.stderr
    assert manage(state, "environment", "list", "--json").stdout.strip() == "[]"


def test_a_backup_is_not_overwritten(
    state: Path, manage: Manage, phrase: str, tmp_path: Path
) -> None:
    file = tmp_path / "panel.backup"
    file.write_text("something")
    done = manage(state, "backup", str(file), "--passphrase-file", phrase)
    assert done.returncode == 1
    assert file.read_text() == "something"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_without_a_terminal_the_pass_phrase_comes_from_a_file(
    state: Path, manage: Manage, tmp_path: Path
) -> None:
    done = manage(state, "backup", str(tmp_path / "b"))
    assert done.returncode == 2
    assert "--passphrase-file" in done.stderr


def test_nothing_of_the_panel_stands_readable_in_a_backup(
    state: Path, manage: Manage, phrase: str, tmp_path: Path
) -> None:
    file = tmp_path / "panel.backup"
    manage(state, "backup", str(file), "--passphrase-file", phrase)
    content = file.read_bytes()
    assert (state / "secret_key").read_bytes().strip() not in content
    assert b"SQLite" not in content


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
