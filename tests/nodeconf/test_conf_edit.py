"""Editing redis.conf, case by case: cases/NAME/ holds before.conf, wanted.json, after.conf.

rewrites/NAME/ holds what a real server's CONFIG REWRITE made of the edited before.conf, after a
CONFIG SET of the operator's, and what a restore then has to give.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from instances.nodeconf.redis_conf import Edit, edit, merge_baselines, parse_command_line, restore

CASES = sorted((Path(__file__).parent / "cases").iterdir())


def run(case: Path, content: bytes | None = None) -> tuple[Edit, dict[str, Any]]:
    wanted = json.loads((case / "wanted.json").read_text())
    before = (case / "before.conf").read_bytes() if content is None else content
    includes = {path: text.encode() for path, text in wanted.get("includes", {}).items()}
    options = parse_command_line(wanted.get("command_line", ["redis-server"]))[1]
    return edit(before, wanted["wanted"], includes=includes, command_line=options), wanted


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestEachCase:
    def test_gives_the_expected_file(self, case: Path) -> None:
        done, wanted = run(case)
        assert done.content == (case / "after.conf").read_bytes()
        effects = {name: str(source) for name, source in done.without_effect.items()}
        assert effects == wanted.get("without_effect", {})

    def test_changes_nothing_the_second_time(self, case: Path) -> None:
        after = (case / "after.conf").read_bytes()
        again, _ = run(case, after)
        assert again.content == after
        assert not again.changed

    def test_leads_back_to_the_same_bytes_through_json(self, case: Path) -> None:
        done, _ = run(case)
        restored = restore(done.content, json.loads(json.dumps(done.baseline)))
        assert restored.content == (case / "before.conf").read_bytes()
        assert restored.left == []


REWRITES = sorted((Path(__file__).parent / "rewrites").iterdir())


@pytest.mark.parametrize("case", REWRITES, ids=lambda case: case.name)
class TestAfterARewriteByTheServer:
    def test_our_lines_are_known_again_and_theirs_survive(self, case: Path) -> None:
        done, _ = run(case)
        restored = restore((case / "rewritten.conf").read_bytes(), done.baseline)
        assert restored.content == (case / "restored.conf").read_bytes()
        assert restored.left == []

    def test_a_later_edit_leads_back_to_the_first_original_too(self, case: Path) -> None:
        done, wanted = run(case)
        moved = {**wanted["wanted"], "tls-cert-file": "/elsewhere.crt", "masterauth": "third"}
        later = edit((case / "rewritten.conf").read_bytes(), moved)
        restored = restore(later.content, merge_baselines(done.baseline, later.baseline))
        assert restored.content == (case / "restored.conf").read_bytes()
        assert restored.left == []


BEFORE = b"# head\nbind 10.0.0.1\nport 6379\nmaxclients 10\n"
WANTED = {"port": "0", "tls-port": "6379"}


def test_edits_of_others_survive_a_restore() -> None:
    done = edit(BEFORE, WANTED)
    theirs = b"# new head\n" + done.content.replace(b"maxclients 10", b"maxclients 20") + b"hz 5\n"
    restored = restore(theirs, done.baseline)
    assert restored.content == (
        b"# new head\n# head\nbind 10.0.0.1\nport 6379\nmaxclients 20\nhz 5\n"
    )
    assert restored.left == []


def test_a_line_that_an_operator_changed_is_left_and_reported() -> None:
    done = edit(BEFORE, WANTED)
    theirs = done.content.replace(b"tls-port 6379", b"tls-port 7000")
    restored = restore(theirs, done.baseline)
    assert restored.content == BEFORE.replace(b"port 6379\n", b"port 6379\ntls-port 7000\n")
    (sentence,) = restored.left
    assert sentence == (
        "tls-port: line 4 now reads “tls-port 7000” where Redoubt wrote “tls-port 6379”; "
        "it was changed since and left as it is."
    )


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (b'tls-port "6379"', True),
        (b"  TLS-PORT\t6379 ", True),
        (b"tls-port '6379'", True),
        (b"tls-port 06379", False),
        (b'tls-port "6379 "', False),
        (b'tls-port "6379" 1', False),
        (b'tls-port "6379', False),
        (b"# tls-port 6379", False),
        (b'port "6379"', False),
    ],
)
def test_only_a_line_that_means_exactly_the_same_is_still_ours(theirs: bytes, ours: bool) -> None:
    done = edit(BEFORE, WANTED)
    content = done.content.replace(b"tls-port 6379", theirs)
    restored = restore(content, done.baseline)
    assert (theirs in restored.content) is not ours
    if ours:
        assert (restored.content, restored.left) == (BEFORE, [])


def test_of_two_lines_that_mean_the_same_the_one_with_our_bytes_is_ours() -> None:
    done = edit(BEFORE, {"timeout": "5"})
    restored = restore(done.content + b'timeout "5"\n', done.baseline)
    assert restored.content == BEFORE + b'timeout "5"\n'


def test_a_line_of_ours_that_is_gone_is_not_put_back() -> None:
    done = edit(BEFORE, WANTED)
    restored = restore(done.content.replace(b"port 0\n", b""), done.baseline)
    assert restored.content == BEFORE.replace(b"port 6379\n", b"")
    (sentence,) = restored.left
    assert sentence == (
        "port: the line “port 0” that Redoubt wrote was removed since; "
        "the original “port 6379” was not put back."
    )


def test_a_removed_line_returns_below_the_line_that_stood_above_it() -> None:
    done = edit(BEFORE, {"port": None})
    restored = restore(b"# a\n# b\n" + done.content, done.baseline)
    assert restored.content == b"# a\n# b\n" + BEFORE


def test_a_removed_line_stays_away_where_someone_has_set_it_since() -> None:
    done = edit(BEFORE, {"port": None})
    restored = restore(done.content + b"port 7000\n", done.baseline)
    assert restored.content == done.content + b"port 7000\n"
    assert restored.left == [
        "port: someone has set it since; the original “port 6379” was not put back."
    ]


def test_a_report_of_what_was_left_masks_secrets() -> None:
    done = edit(BEFORE, {"requirepass": "ours"})
    restored = restore(done.content.replace(b"ours", b"theirs"), done.baseline)
    assert "ours" not in restored.left[0]
    assert "theirs" not in restored.left[0]


def test_after_an_operators_change_between_two_edits_the_first_original_returns() -> None:
    first = edit(BEFORE, WANTED)
    theirs = first.content.replace(b"tls-port 6379", b"tls-port 7000")
    later = edit(theirs, WANTED)
    restored = restore(later.content, merge_baselines(first.baseline, later.baseline))
    assert restored.content == BEFORE


def test_a_file_converted_to_crlf_is_restored_as_crlf() -> None:
    done = edit(BEFORE, WANTED)
    restored = restore(done.content.replace(b"\n", b"\r\n"), done.baseline)
    assert restored.content == BEFORE.replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    "wanted", [{"save": "900 1"}, {"port": ""}, {"port": "1\nbind 0.0.0.0"}, {"port": '"1'}]
)
def test_what_is_no_single_line_is_refused(wanted: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wanted))):
        edit(BEFORE, wanted)
