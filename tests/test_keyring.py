import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.keyring import KeyRing, KeyRingError, key_id_of, new_key, new_key_id
from instances.secret import Secret

RING = KeyRing("one", {"one": b"1" * 32})
CONTEXT = "instances.credential.private_key"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "redoubt.keys"


def reason_of_loading(path: Path) -> str:
    with pytest.raises(KeyRingError) as caught:
        KeyRing.load(path)
    assert str(path) in caught.value.message
    return caught.value.reason


@given(st.text())
def test_what_is_encrypted_is_decrypted(text: str) -> None:
    token = RING.encrypt(Secret(text), context=CONTEXT)
    assert RING.decrypt(token, context=CONTEXT) == Secret(text)


def test_a_plain_string_may_be_encrypted_too() -> None:
    assert RING.decrypt(RING.encrypt("text", context="c"), context="c") == Secret("text")


def test_a_token_names_its_key_and_hides_its_text() -> None:
    token = RING.encrypt("hunter2", context=CONTEXT)
    assert token.startswith("rk1:one:")
    assert key_id_of(token) == "one"
    assert "hunter2" not in token


def test_the_same_text_gives_another_token_each_time() -> None:
    assert len({RING.encrypt("same", context="c") for _ in range(20)}) == 20


def test_a_token_does_not_open_in_another_context() -> None:
    token = RING.encrypt("text", context="instances.credential.private_key")
    with pytest.raises(KeyRingError) as caught:
        RING.decrypt(token, context="instances.node.password")
    assert caught.value.reason == "WrongKey"


def test_a_token_under_another_key_of_the_same_id_does_not_open() -> None:
    token = RING.encrypt("text", context="c")
    with pytest.raises(KeyRingError, match="same backup") as caught:
        KeyRing("one", {"one": b"2" * 32}).decrypt(token, context="c")
    assert caught.value.reason == "WrongKey"


def test_a_token_relabelled_to_another_key_does_not_open() -> None:
    both = KeyRing("one", {"one": b"1" * 32, "two": b"1" * 32})
    token = both.encrypt("text", context="c").replace("rk1:one:", "rk1:two:")
    with pytest.raises(KeyRingError) as caught:
        both.decrypt(token, context="c")
    assert caught.value.reason == "WrongKey"


def test_a_token_of_an_unknown_key_says_which_key_is_missing() -> None:
    token = RING.encrypt("text", context="c")
    with pytest.raises(KeyRingError, match="'one'") as caught:
        KeyRing("two", {"two": b"2" * 32}).decrypt(token, context="c")
    assert caught.value.reason == "UnknownKey"


@pytest.mark.parametrize(
    "token", ["", "text", "rk1:one:", "rk1:one:!!", "rk2:one:" + "A" * 80, "rk1::" + "A" * 80]
)
def test_what_is_not_a_token_is_malformed(token: str) -> None:
    with pytest.raises(KeyRingError) as caught:
        RING.decrypt(token, context="c")
    assert caught.value.reason == "TokenMalformed"


@given(position=st.integers(0, 200), text=st.text(max_size=20))
def test_an_altered_token_never_opens(position: int, text: str) -> None:
    token = RING.encrypt(text, context="c")
    at = len("rk1:one:") + position % (len(token) - len("rk1:one:") - 4)
    altered = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    with pytest.raises(KeyRingError):
        RING.decrypt(altered, context="c")


def test_a_rotated_ring_reads_old_tokens_and_writes_with_the_new_key() -> None:
    old = RING.encrypt("text", context="c")
    rotated = RING.rotate(key_id="two", key=new_key())
    assert rotated.decrypt(old, context="c") == Secret("text")
    assert not rotated.is_current(old)
    assert rotated.is_current(rotated.encrypt("text", context="c"))


def test_rotation_never_replaces_a_key() -> None:
    with pytest.raises(KeyRingError) as caught:
        RING.rotate(key_id="one", key=new_key())
    assert caught.value.reason == "Exists"


def test_the_canary_finds_a_wrong_key_file() -> None:
    token = RING.check_token()
    RING.verify_check(token)
    RING.rotate(key_id="two", key=new_key()).verify_check(token)
    with pytest.raises(KeyRingError) as caught:
        KeyRing("one", {"one": b"x" * 32}).verify_check(token)
    assert caught.value.reason == "WrongKey"
    with pytest.raises(KeyRingError) as caught:
        KeyRing("two", {"two": b"x" * 32}).verify_check(token)
    assert caught.value.reason == "UnknownKey"


def test_keys_do_not_show_in_the_repr() -> None:
    assert repr(RING) == "KeyRing(primary='one')"


def test_a_created_file_is_for_its_owner_alone_and_loads(path: Path) -> None:
    made = KeyRing.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyRing.load(path) == made
    assert list(path.parent.iterdir()) == [path]


def test_two_created_files_never_share_a_key_id() -> None:
    assert len({new_key_id() for _ in range(100)}) == 100


def test_create_refuses_to_overwrite(path: Path) -> None:
    KeyRing.create(path)
    before = path.read_bytes()
    with pytest.raises(KeyRingError) as caught:
        KeyRing.create(path)
    assert caught.value.reason == "Exists"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_rotated_ring_is_saved_over_its_file(path: Path) -> None:
    rotated = KeyRing.create(path).rotate(key_id="two", key=new_key())
    rotated.save(path)
    assert KeyRing.load(path) == rotated
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_directory_that_is_not_there_is_unwritable(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError) as caught:
        KeyRing.create(tmp_path / "absent" / "keys")
    assert caught.value.reason == "Unwritable"


def test_a_missing_file_is_named(path: Path) -> None:
    assert reason_of_loading(path) == "Missing"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert reason_of_loading(tmp_path) == "Unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_unreadable(path: Path) -> None:
    KeyRing.create(path)
    path.chmod(0)
    assert reason_of_loading(path) == "Unreadable"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o601])
def test_a_file_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    KeyRing.create(path)
    path.chmod(mode)
    assert reason_of_loading(path) == "Exposed"
    with pytest.raises(KeyRingError, match="chmod 600"):
        KeyRing.load(path)


KEY = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "{}",
        json.dumps({"primary": "one", "keys": []}),
        json.dumps({"primary": "one", "keys": {}}),
        json.dumps({"primary": "two", "keys": {"one": KEY}}),
        json.dumps({"primary": "one", "keys": {"one": "c2hvcnQ="}}),
        json.dumps({"primary": "one", "keys": {"one": "!!"}}),
        json.dumps({"primary": "one", "keys": {"one": 1}}),
        json.dumps({"primary": "a:b", "keys": {"a:b": KEY}}),
    ],
)
def test_a_damaged_file_is_malformed_and_does_not_show_its_keys(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
    assert reason_of_loading(path) == "Malformed"
    with pytest.raises(KeyRingError) as caught:
        KeyRing.load(path)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
