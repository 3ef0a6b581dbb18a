"""Checks of a configuration; the answers are real ones, of the lab's servers."""

import json
from pathlib import Path

import pytest

from instances.nodeconf.command import Result
from instances.nodeconf.config_check import (
    dry_run_command,
    parse_dry_run,
    parse_syntax_check,
    syntax_check_command,
)

ANSWERS = Path(__file__).parent / "checks"
SERVERS = ("bullseye-redis-6.0", "bookworm-redis-7.0", "trixie-valkey-8.1")


def answer(name: str) -> Result:
    said = json.loads((ANSWERS / f"{name}.json").read_text())
    return Result(said["code"], said["stdout"].encode(), said["stderr"].encode())


@pytest.mark.parametrize("server", SERVERS)
class TestEachServer:
    def test_a_good_file_has_no_problem(self, server: str) -> None:
        assert parse_syntax_check(answer(f"{server}-syntax-good")) is None
        assert parse_dry_run(answer(f"{server}-dry-good")) is None

    def test_a_bad_line_is_named_and_its_secret_is_not(self, server: str) -> None:
        for problem in (
            parse_syntax_check(answer(f"{server}-syntax-bad-quote")),
            parse_dry_run(answer(f"{server}-dry-bad-line")),
        ):
            assert problem is not None
            assert problem.reason == "BadLine"
            assert problem.line == "requirepass ••••"
            assert problem.line_number > 1000
            assert "hunter2" not in problem.message

    def test_a_bad_line_in_an_include_is_found(self, server: str) -> None:
        problem = parse_syntax_check(answer(f"{server}-syntax-bad-include"))
        assert problem is not None
        assert problem.message == "Line 2, “timeout 5 # x”: wrong number of arguments"

    def test_a_file_that_the_user_cannot_read_is_unreadable(self, server: str) -> None:
        problem = parse_syntax_check(answer(f"{server}-syntax-unreadable"))
        assert problem is not None
        assert problem.reason == "Unreadable"
        assert problem.message.startswith("Fatal error, can't open config file")

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("missing-key", "Failed to load private key"),
            ("unreadable-key", "Permission denied"),
            ("port-taken", "127.0.0.1:22: bind: Permission denied"),
        ],
    )
    def test_a_dry_run_says_why_it_does_not_start(self, server: str, name: str, says: str) -> None:
        problem = parse_dry_run(answer(f"{server}-dry-{name}"))
        assert problem is not None
        assert problem.reason == "DoesNotStart"
        assert says in problem.message
        assert "WARNING" not in problem.message


def test_a_directive_of_a_newer_server_is_a_bad_line() -> None:
    problem = parse_syntax_check(answer("6.2-syntax-unknown-directive"))
    assert problem is not None
    assert problem.line == "repl-diskless-sync-max-replicas 0"


def test_a_program_that_says_something_else_did_not_check() -> None:
    problem = parse_syntax_check(Result(127, b"", b"setpriv: not found\n"))
    assert problem is not None
    assert problem.reason == "NotChecked"


def test_the_syntax_check_runs_as_the_servers_user() -> None:
    command = syntax_check_command("/usr/bin/redis-server", "/tmp/x.conf", "redis")
    assert command.argv[2:7] == (
        "setpriv",
        "--reuid=redis",
        "--regid=redis",
        "--init-groups",
        "--",
    )
    assert command.argv[-3:] == ("/tmp/x.conf", "--zz-check", "1")
    assert "setpriv" not in syntax_check_command("redis-server", "x", "root").argv


def test_a_dry_run_without_tls_does_not_name_the_tls_port() -> None:
    command = dry_run_command("redis-server", "x", "redis", tls_port=0, directory="/d")
    assert "--tls-port" not in command.argv
    assert command.argv[command.argv.index("--port") + 1] == "0"


def test_a_dry_run_lets_the_server_say_that_it_is_ready() -> None:
    command = dry_run_command("redis-server", "x", "redis", tls_port=1, directory="/d")
    assert command.argv[command.argv.index("--loglevel") + 1] == "notice"
