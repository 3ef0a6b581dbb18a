"""What every Host promises: each test runs on this machine's bash and over a real sshd."""

import os
import socket
import stat
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from instances.nodeconf.command import Command
from instances.remote.errors import (
    CommandFailed,
    CommandTimedOut,
    ConnectionLost,
    FileChanged,
    Unreachable,
)
from instances.remote.files import replace_command, write_command
from instances.remote.host import Host
from instances.secret import Secret
from tests.remote.sshd import free_port

pytestmark = pytest.mark.processes


def test_a_command_gives_its_code_and_both_outputs(host: Host) -> None:
    script = Command(("bash", "-c", "printf out; printf err >&2; exit 3"), ok=frozenset({3}))
    result = host.run(script)
    assert (result.code, result.stdout, result.stderr) == (3, b"out", b"err")


def test_arguments_arrive_as_they_are(host: Host) -> None:
    arguments = ("$(id)", "`id`", "a b", "'", '"', "*", "", "line\nbreak", "ümlaut", "-n", "\\")
    script = Command(("bash", "-c", "printf '%s\\0' \"$@\"", "show", *arguments))
    assert host.run(script).stdout.decode().split("\0")[:-1] == list(arguments)


def test_output_may_hold_any_bytes(host: Host) -> None:
    content = bytes(range(256)) * 40 + b"\n\n"
    assert host.run(Command(("cat",), stdin=content)).stdout == content
    assert host.run(Command(("printf", "no newline"))).stdout == b"no newline"
    assert host.run(Command(("cat",), stdin=b"")).stdout == b""


def test_a_failing_command_is_raised_with_its_message(host: Host) -> None:
    with pytest.raises(CommandFailed) as raised:
        host.run(Command(("ls", "/nonexistent")))
    assert raised.value.code == 2
    assert "No such file" in raised.value.message
    assert raised.value.node == host.name
    assert raised.value.next_step


def test_an_unknown_program_fails_and_the_shell_lives_on(host: Host) -> None:
    with pytest.raises(CommandFailed) as raised:
        host.run(Command(("no-such-program",)))
    assert raised.value.code == 127
    assert host.run(Command(("echo", "alive"))).stdout == b"alive\n"


@pytest.mark.parametrize("builtin", ["exit", "exec", "cd", "return"])
def test_no_builtin_reaches_the_shell_itself(host: Host, builtin: str) -> None:
    with pytest.raises(CommandFailed):
        host.run(Command((builtin, "7")))
    assert host.run(Command(("pwd",))).stdout == b"/\n"


def test_commands_run_in_a_known_environment(host: Host) -> None:
    script = "umask; pwd; echo $LC_ALL; type -P sysctl >/dev/null && echo sbin; id -u"
    lines = host.run(Command(("bash", "-c", script))).text.split()
    assert lines == ["0077", "/", "C", "sbin", str(os.getuid())]


def test_many_commands_answer_in_order(host: Host) -> None:
    results = host.run_all([Command(("echo", str(number))) for number in range(50)])
    assert [result.text for result in results] == [f"{number}\n" for number in range(50)]


def test_the_first_failing_command_stops_the_rest(host: Host, tmp_path: Path) -> None:
    commands = [
        Command(("touch", str(tmp_path / "first"))),
        Command(("false",), ok=frozenset({1})),
        Command(("bash", "-c", "exit 5")),
        Command(("tee", str(tmp_path / "never")), stdin=b"x"),
        Command(("touch", str(tmp_path / "never"))),
    ]
    with pytest.raises(CommandFailed) as raised:
        host.run_all(commands)
    assert raised.value.code == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["first"]
    assert host.run(Command(("true",))).code == 0


def test_large_input_and_large_outputs_flow_at_once(host: Host) -> None:
    content = os.urandom(3_000_000)
    both = Command(("bash", "-c", "tee >(cat >&2); wait $!"), stdin=content)
    results = host.run_all([both, both])
    assert [result.stdout for result in results] == [content, content]
    assert [len(result.stderr) for result in results] == [len(content)] * 2


@pytest.mark.parametrize("content", [bytes(range(1, 256)) * 40 + b"\n\n", bytes(range(256)), b""])
def test_what_is_read_and_written_is_every_byte_of_it(
    host: Host, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    assert host.run(Command(("cat",), stdin=content)).stdout == content
    host.replace_file(str(file), content)
    assert file.read_bytes() == content
    (seen,) = host.read_files([str(file)])
    assert seen.content == content


def test_a_script_gets_its_arguments_and_changes_nothing_of_the_shell(host: Host) -> None:
    script = 'set -eu; cd /tmp; trap "echo bye" EXIT; umask 0; printf "%s|" "$@"; exit 7'
    command = Command(("bash", "-c", script, "name", "a b", "", "$(id)"), ok=frozenset({7}))
    after = Command(("bash", "-c", 'printf "%s %s %s" "$PWD" "$(umask)" "$#"'))
    results = host.run_all([command, after])
    assert [each.text for each in results] == ["a b||$(id)|bye\n", "/ 0077 0"]


def test_an_input_that_nobody_reads_does_no_harm(host: Host) -> None:
    results = host.run_all([Command(("true",), stdin=b"x" * 500_000), Command(("echo", "next"))])
    assert [result.code for result in results] == [0, 0]
    assert results[1].stdout == b"next\n"


def test_a_secret_on_stdin_stands_in_no_argv(host: Host) -> None:
    show = 'read -r line; grep -sla "$line" /proc/[0-9]*/cmdline; printf %s "$line" | base64'
    script = Command(("bash", "-c", show), stdin=Secret("geheim-4711\n"))
    assert host.run(script).text == "Z2VoZWltLTQ3MTE=\n"


def test_a_killed_command_does_not_print_its_input(host: Host) -> None:
    killed = Command(("bash", "-c", "kill -SEGV $BASHPID"), stdin=Secret("geheim-4711"))
    with pytest.raises(CommandFailed) as raised:
        host.run(killed)
    assert raised.value.code == 139
    assert "geheim" not in str(raised.value)
    assert "Z2VoZWlt" not in str(raised.value)


def test_a_command_that_takes_too_long_ends_the_connection(doomed_host: Host) -> None:
    began = time.monotonic()
    with pytest.raises(CommandTimedOut):
        doomed_host.run(Command(("sleep", "20"), timeout=0.2))
    assert time.monotonic() - began < 3
    with pytest.raises(ConnectionLost):
        doomed_host.run(Command(("true",)))


def test_closing_from_another_thread_ends_a_waiting_command(doomed_host: Host) -> None:
    threading.Timer(0.2, doomed_host.close).start()
    with pytest.raises(ConnectionLost):
        doomed_host.run(Command(("sleep", "20")))


def test_threads_take_turns(host: Host) -> None:
    seen: list[bool] = []

    def echo(word: str) -> None:
        seen.extend(host.run(Command(("echo", word))).text == f"{word}\n" for _ in range(10))

    threads = [threading.Thread(target=echo, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 30


def test_files_are_read_with_owner_mode_and_target(host: Host, tmp_path: Path) -> None:
    conf, link = tmp_path / "redis.conf", tmp_path / "a link\n"
    conf.write_bytes(b"port 6379\n\0\xff")
    conf.chmod(0o640)
    link.symlink_to(conf)
    states = host.read_files([str(conf), str(link), str(tmp_path / "absent"), "/no/such/dir/x"])
    assert [state.content for state in states] == [conf.read_bytes(), conf.read_bytes(), None, None]
    assert (states[0].mode, states[0].owner) == (0o640, ("root", "root"))
    assert [state.target for state in states[:2]] == [str(conf), str(conf)]
    assert host.read_files([]) == []


def test_a_directory_in_a_files_place_is_an_error(host: Host, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        host.read_files([str(tmp_path)])


def test_a_file_is_written_with_owner_and_mode(host: Host, tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    host.write_file(str(key), Secret("KEY\n"), mode=0o640, owner="root", group="daemon")
    assert key.read_text() == "KEY\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o640
    assert key.group() == "daemon"
    assert [entry.name for entry in tmp_path.iterdir()] == ["server.key"]


def test_a_file_is_replaced_keeping_owner_mode_and_symlink(host: Host, tmp_path: Path) -> None:
    conf, link = tmp_path / "redis.conf", tmp_path / "link.conf"
    conf.write_bytes(b"old\n")
    conf.chmod(0o604)
    os.chown(conf, 1, 2)
    link.symlink_to("redis.conf")
    host.replace_file(str(link), b"new\n", b"old\n")
    state = conf.stat()
    assert (conf.read_bytes(), link.is_symlink()) == (b"new\n", True)
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o604, 1, 2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.conf", "redis.conf"]


LARGE = b"save 900 1\n" * 1500


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LARGE + b"b\nc\n", LARGE + b"X\nc\n"),
        (LARGE + LARGE, LARGE),
        (LARGE, LARGE + LARGE),
        (LARGE, LARGE),
        (LARGE, LARGE + b"last"),
        (LARGE, b"first" + LARGE),
        (b"\0\xff" + LARGE, b"\0\xfe" + LARGE),
        (LARGE + LARGE, LARGE + b"\0" + LARGE),
    ],
)
def test_only_what_differs_is_sent_and_the_whole_is_right(
    host: Host, tmp_path: Path, old: bytes, new: bytes
) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_bytes(old)
    command = replace_command(str(conf), new, seen=old, keep=str(tmp_path / "kept"))
    assert isinstance(command.stdin, bytes)
    assert len(command.stdin) <= max(5, len(new) - len(old))
    assert len(old) >= len(LARGE)
    host.run(command)
    assert conf.read_bytes() == new
    assert (tmp_path / "kept").read_bytes() == old


def test_extended_attributes_survive_a_replacement(host: Host, tmp_path: Path) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_bytes(b"old\n")
    try:
        os.setxattr(conf, "user.note", b"kept")
    except OSError:
        # This file system has none to keep.
        return
    host.replace_file(str(conf), b"new\n")
    assert os.getxattr(conf, "user.note") == b"kept"


def test_a_file_changed_by_others_is_left_alone(host: Host, tmp_path: Path) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_bytes(b"theirs\n")
    with pytest.raises(FileChanged) as raised:
        host.run_all([replace_command(str(conf), b"ours\n", seen=b"read\n")])
    assert str(conf) in str(raised.value)
    assert conf.read_bytes() == b"theirs\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["redis.conf"]


def test_an_absent_file_is_not_replaced(host: Host, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        host.replace_file(str(tmp_path / "absent"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing_behind(host: Host, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        host.write_file(str(tmp_path / "x"), b"x", mode=0o600, owner="no-such-user", group="root")
    assert list(tmp_path.iterdir()) == []


def test_writes_mix_with_other_commands_in_one_round_trip(host: Host, tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "file")
    host.make_directory(str(tmp_path / "new"), mode=0o2750, owner="root", group="daemon")
    write = write_command(path, b"x", mode=0o600, owner="root", group="root")
    results = host.run_all([write, Command(("cat", path))])
    assert results[1].stdout == b"x"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o2750


def test_a_stream_starts_at_the_host(host: Host) -> None:
    content = bytes(range(256)) * 1000
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(host.connect("127.0.0.1", server.getsockname()[1])) as stream,
    ):
        accepted, _ = server.accept()
        with accepted, accepted.makefile("rb") as received:
            stream.sendall(content)
            assert received.read(len(content)) == content
            accepted.sendall(b"answer")
            assert stream.recv(100) == b"answer"
        assert stream.recv(100) == b""


def test_a_stream_that_is_closed_here_ends_there(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = host.connect("127.0.0.1", server.getsockname()[1])
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(5)
            stream.close()
            assert accepted.recv(100) == b""


def test_a_silent_stream_times_out(host: Host) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(host.connect("127.0.0.1", server.getsockname()[1], timeout=0.1)) as stream,
        pytest.raises(TimeoutError),
    ):
        stream.recv(1)


def test_a_stream_over_ipv6(host: Host) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        # This machine has no IPv6 loopback.
        return
    with server, closing(host.connect("::1", server.getsockname()[1])):
        server.accept()[0].close()


def test_a_refused_stream_says_so(host: Host) -> None:
    with pytest.raises(Unreachable) as raised:
        host.connect("127.0.0.1", free_port())
    assert raised.value.reason == "ConnectionRefused"
