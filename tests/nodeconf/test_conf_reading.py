"""The grammar, the tree of includes, the command line, and what a preview shows."""

import pytest

from instances.nodeconf.redis_conf import (
    ConfigSyntaxError,
    DiffLine,
    diff,
    effective,
    mask_line,
    parse_command_line,
    quote_argument,
    split_arguments,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("port 6379", ["port", "6379"]),
        ("  bind\t127.0.0.1   -::1 \r", ["bind", "127.0.0.1", "-::1"]),
        (r'a "x\x41\n\r\t\b\a\q\"" ', ["a", 'xA\n\r\t\b\aq"']),
        (r"a 'x\n\'y'", ["a", r"x\n'y"]),
        ('ab"c d"', ["abc d"]),
        (r"C:\dir\#x #y", [r"C:\dir\#x", "#y"]),
        ('a ""', ["a", ""]),
        (r'"\xff"', ["\udcff"]),
        (r'"\xg1"', ["xg1"]),
        ("a\vb", ["a\vb"]),
        ("", []),
    ],
)
def test_lines_split_as_sdssplitargs_splits_them(line: str, expected: list[str]) -> None:
    assert split_arguments(line) == expected


@pytest.mark.parametrize("line", ['a "b', "a 'b", '"a"b', "'a'b", '"a\\', "a\0b"])
def test_lines_that_the_server_refuses_name_their_number(line: str) -> None:
    with pytest.raises(ConfigSyntaxError, match="line 7: ") as caught:
        split_arguments(line, line_number=7)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("value", "expected"),
    [(6380, "6380"), ("", '""'), ("a b", '"a b"'), ("#x", '"#x"'), ("é", "é"), ("\n", r'"\x0a"')],
)
def test_arguments_are_quoted_only_where_they_must_be(value: str | int, expected: str) -> None:
    assert quote_argument(value) == expected


FILES = {
    "/etc/redis/redis.conf": b"port 1\ninclude /etc/redis/*.inc\nuser a on\nBIND 10.0.0.1\n",
    "/etc/redis/b.inc": b'port 3\nuser b on\nrename-command CONFIG ""\n',
    "/etc/redis/a.inc": b"port 2\nbind 0.0.0.0\n",
    "/etc/redis/sub/c.inc": b"port 9\n",
    "/etc/redis/.hidden.inc": b"port 9\n",
}


def test_the_last_setting_wins_across_includes_in_glob_order() -> None:
    tree = effective("/etc/redis/redis.conf", FILES)
    assert tree.value("PORT") == "3"
    assert str(tree.source("port")) == "/etc/redis/b.inc:1"
    assert str(tree.source("bind")) == "/etc/redis/redis.conf:4"
    assert tree.all("user") == [("b", "on"), ("a", "on")]
    assert tree.all("rename-command") == [("CONFIG", "")]
    assert tree.value("tls-port") is None


def test_the_command_line_wins_over_every_file() -> None:
    path, options = parse_command_line(
        ["/usr/bin/redis-server", "/etc/redis/redis.conf", "--port", "5", "--save", "1", "2"]
    )
    assert path == "/etc/redis/redis.conf"
    assert options == [("port", ["5"]), ("save", ["1", "2"])]
    tree = effective("/etc/redis/redis.conf", FILES, options)
    source = tree.source("port")
    assert tree.value("port") == "5"
    assert source is not None
    assert source.on_command_line


def test_a_command_line_without_a_file_has_only_options() -> None:
    assert parse_command_line(["redis-server", "--port 5", "--sentinel"]) == (
        None,
        [("port", ["5"]), ("sentinel", [])],
    )


def test_a_configuration_from_standard_input_is_refused() -> None:
    with pytest.raises(ConfigSyntaxError, match="standard input"):
        parse_command_line(["redis-server", "-"])


def test_relative_includes_follow_the_directory() -> None:
    tree = effective("/m", {"/m": b"dir /data\ninclude x.conf\n", "/data/x.conf": b"port 7\n"})
    assert tree.value("port") == "7"


def test_missing_and_circular_includes_and_broken_lines_are_problems_not_errors() -> None:
    content = b'include /gone\ninclude /no/*\ninclude /m\nport "1\nport 2\n'
    tree = effective("/m", {"/m": content})
    messages = {problem.message for problem in tree.problems}
    assert "the included file /gone is missing" in messages
    assert "includes are nested more than 8 deep" in messages
    assert "a quote is not closed" in messages
    assert tree.value("port") == "2"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("requirepass hunter2", "requirepass ••••"),
        ("  # RequirePass hunter2", "  # requirepass ••••"),
        ('"requirepass" hunter2', "requirepass ••••"),
        ("requirepass 'hunter2", "requirepass ••••"),
        ("user default on >hunter2 ~* +@all", "user ••••"),
        ("rename-command CONFIG hunter2", "rename-command ••••"),
        ("tls-key-file-pass hunter2", "tls-key-file-pass ••••"),
        ("sentinel auth-pass mymaster hunter2", "sentinel auth-pass ••••"),
        ("masteruser replica", "masteruser replica"),
        ("port 6379", "port 6379"),
        ("", ""),
    ],
)
def test_values_of_secret_directives_are_dots(line: str, shown: str) -> None:
    assert mask_line(line) == shown


def test_a_diff_has_two_lines_of_context_and_no_secret() -> None:
    before = b"a 1\nb 2\nrequirepass hunter2\nport 6379\nc 3\nd 4\ne 5\n"
    after = before.replace(b"port 6379", b"port 0\ntls-port 6379")
    assert diff(before, after, "/etc/redis/redis.conf") == [
        DiffLine("hunk", "@@ -2,5 +2,6 @@ /etc/redis/redis.conf"),
        DiffLine("context", "b 2"),
        DiffLine("context", "requirepass ••••"),
        DiffLine("del", "port 6379"),
        DiffLine("add", "port 0"),
        DiffLine("add", "tls-port 6379"),
        DiffLine("context", "c 3"),
        DiffLine("context", "d 4"),
    ]


def test_a_diff_of_equal_files_is_empty_and_an_empty_file_starts_at_zero() -> None:
    assert diff(b"a\n", b"a\n", "f") == []
    assert diff(b"", b"a 1", "f") == [
        DiffLine("hunk", "@@ -0,0 +1,1 @@ f"),
        DiffLine("add", "a 1 (no newline at the end of the file)"),
    ]
