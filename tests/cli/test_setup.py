"""Setting up, and refusing to start with secrets that do not fit."""

import re
import stat
from pathlib import Path

import pytest

from instances.keyring import KeyRing
from tests.cli.conftest import Manage

pytestmark = pytest.mark.processes


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_setup_makes_secrets_that_only_their_owner_reads(state: Path) -> None:
    assert _mode(state) == 0o700
    assert _mode(state / "secret_key") == 0o600
    assert _mode(state / "keys.json") == 0o600
    assert (state / "secret_key").read_text().strip() not in (state / "keys.json").read_text()


def test_setting_up_again_keeps_what_is_there(state: Path, manage: Manage) -> None:
    before = {name: (state / name).read_bytes() for name in ("secret_key", "keys.json")}
    done = manage(state, "setup", "--no-static")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert before == {name: (state / name).read_bytes() for name in before}


def test_a_state_directory_open_to_others_is_refused(tmp_path: Path, manage: Manage) -> None:
    tmp_path.chmod(0o755)
    done = manage(tmp_path, "setup", "--no-static")
    assert done.returncode == 1
    assert f"chmod 700 {tmp_path}" in done.stderr
    assert not (tmp_path / "keys.json").exists()


def test_nothing_starts_before_the_panel_is_set_up(tmp_path: Path, manage: Manage) -> None:
    for words in (["start"], ["environment", "list"]):
        done = manage(tmp_path / "none", *words)
        assert done.returncode == 1
        assert "manage.py setup" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_missing_key_file_stops_everything_and_is_not_made_anew(
    state: Path, manage: Manage
) -> None:
    (state / "keys.json").unlink()
    for words in (["start"], ["setup", "--no-static"]):
        done = manage(state, *words)
        assert done.returncode == 1
        assert "keys.json" in done.stderr
        assert "Next: Put back the key file" in done.stderr
    assert not (state / "keys.json").exists()


def test_another_panels_key_file_is_refused(state: Path, manage: Manage) -> None:
    (state / "keys.json").unlink()
    KeyRing.create(state / "keys.json")
    for words in (["start"], ["setup", "--no-static"]):
        done = manage(state, *words)
        assert done.returncode == 1
        assert "cannot be used with this database" in done.stderr


def test_a_key_file_that_others_may_read_is_refused(state: Path, manage: Manage) -> None:
    (state / "keys.json").chmod(0o644)
    done = manage(state, "start")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr


def test_the_secret_key_may_not_be_in_the_key_file(state: Path, manage: Manage) -> None:
    done = manage(state, "check", REDOUBT_SECRET_KEY="primary")
    assert done.returncode == 1
    assert "redoubt.E003" in done.stderr


def test_an_administrators_random_password_is_printed_once(state: Path, manage: Manage) -> None:
    first = manage(state, "administrator", "alice")
    assert first.returncode == 0
    assert re.search(r"Password \(shown once\): \S{20}\n", first.stdout)
    again = manage(state, "administrator", "alice")
    assert again.returncode == 1
    assert "Password" not in again.stdout
    assert "Choose another name." in again.stderr


def test_a_given_password_is_not_printed(state: Path, manage: Manage, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("four blue horses\n")
    done = manage(state, "administrator", "bob", "--password-file", str(file))
    assert done.returncode == 0
    assert "horses" not in done.stdout + done.stderr


def test_a_weak_password_is_refused(state: Path, manage: Manage, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    done = manage(state, "administrator", "bob", "--password-file", str(file))
    assert done.returncode == 1
    assert "too short" in done.stderr
