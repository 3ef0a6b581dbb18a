"""What must hold for any redis.conf whatever."""

import json

from hypothesis import given
from hypothesis import strategies as st

from instances.nodeconf.conf_grammar import to_text
from instances.nodeconf.redis_conf import (
    ConfigFile,
    edit,
    effective,
    merge_baselines,
    quote_argument,
    restore,
    split_arguments,
)

NAMES = ("tls-port", "port", "bind", "timeout", "masterauth")
directives = st.builds(
    lambda indent, name, gap, value: indent + name + gap + value,
    st.sampled_from([b"", b" ", b"\t"]),
    st.sampled_from([n.encode() for n in NAMES] + [b"PORT", b"primaryauth", b"# port", b"save"]),
    st.sampled_from([b" ", b"  "]),
    st.sampled_from([b"0", b"1", b'"a b"', b"'x", b"900 1", b"\xff"]),
)
lines = st.one_of(directives, st.sampled_from([b"", b"# x", b"include /i"]), st.binary(max_size=9))
endings = st.sampled_from([b"\n", b"\n", b"\r\n"])
contents = st.builds(
    lambda pairs, last: b"".join(a + b for a, b in pairs) + last,
    st.lists(st.tuples(lines, endings), max_size=12),
    st.one_of(st.just(b""), lines),
)
wishes = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from([None, "0", "1", "6380", '"a b"', "''"]), max_size=5
)


@given(st.binary())
def test_an_unedited_file_renders_to_the_same_bytes(content: bytes) -> None:
    assert ConfigFile.parse(content).render() == content


@given(st.lists(st.binary(), min_size=1))
def test_quoted_arguments_split_into_the_same_bytes(values: list[bytes]) -> None:
    texts = [to_text(value) for value in values]
    assert split_arguments(" ".join(map(quote_argument, texts))) == texts


@given(contents, wishes)
def test_an_edit_makes_the_wanted_values_effective_and_a_second_one_changes_nothing(
    content: bytes, wanted: dict[str, str | None]
) -> None:
    done = edit(content, wanted)
    tree = effective("main", {"main": done.content})
    for name, arguments in wanted.items():
        expected = None if arguments is None else " ".join(split_arguments(arguments))
        assert tree.value(name) == expected
    again = edit(done.content, wanted)
    assert again.content == done.content
    assert not again.changed


@given(contents, st.lists(wishes, min_size=1, max_size=4))
def test_merged_baselines_give_the_original_bytes(
    content: bytes, edits: list[dict[str, str | None]]
) -> None:
    done = edit(content, edits[0])
    baseline = done.baseline
    for wanted in edits[1:]:
        done = edit(done.content, wanted)
        baseline = merge_baselines(baseline, json.loads(json.dumps(done.baseline)))
    assert restore(done.content, baseline).content == content


@given(contents, wishes, st.binary(max_size=9).filter(lambda b: b"\n" not in b))
def test_a_line_that_an_operator_appended_survives(
    content: bytes, wanted: dict[str, str | None], line: bytes
) -> None:
    if content and not content.endswith(b"\n"):
        content += b"\n"
    added = b"# " + line.rstrip(b"\r") + b"\n"
    done = edit(content, wanted)
    restored = restore(done.content + added, done.baseline)
    assert sorted(restored.content.split(b"\n")) == sorted((content + added).split(b"\n"))
