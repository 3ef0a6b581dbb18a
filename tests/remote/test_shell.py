import subprocess
from pathlib import Path

import pytest

from instances.nodeconf.command import Command
from instances.remote.errors import ConnectionLost
from instances.remote.frames import FrameReader
from instances.remote.local import ProcessPipe
from instances.remote.shell import Shell, command_text

pytestmark = pytest.mark.processes


def cut_short(text: bytes, length: int) -> None:
    """What a bash does that gets only the first `length` bytes before the connection is lost."""
    argv = ["bash", "--noprofile", "--norc"]
    subprocess.run(argv, input=text[:length], capture_output=True, check=False)


def test_a_line_cut_short_is_never_half_a_command(tmp_path: Path) -> None:
    text = command_text(Command(("touch", str(tmp_path / "one"), str(tmp_path / "two"))), "tag")
    complete = len(text) - 1
    for length in range(complete):
        cut_short(text, length)
        assert list(tmp_path.iterdir()) == [], f"cut after {length} of {complete} bytes"
    cut_short(text, complete)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_input_cut_short_runs_nothing(tmp_path: Path) -> None:
    text = command_text(Command(("tee", str(tmp_path / "file")), stdin=b"content" * 9), "tag")
    for length in range(len(text)):
        cut_short(text, length)
        assert list(tmp_path.iterdir()) == [], f"cut after {length} of {len(text)} bytes"
    cut_short(text, len(text))
    assert (tmp_path / "file").read_bytes() == b"content" * 9


def test_a_script_cut_short_runs_nothing(tmp_path: Path) -> None:
    script = 'touch "$1/one"; touch "$1/two"'
    text = command_text(Command(("bash", "-c", script, "touch", str(tmp_path))), "tag")
    for length in range(len(text)):
        cut_short(text, length)
        assert list(tmp_path.iterdir()) == [], f"cut after {length} of {len(text)} bytes"
    cut_short(text, len(text))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_shell_that_does_not_start_says_what_it_was_told() -> None:
    pipe = ProcessPipe(("sh", "-c", "echo sudo: a password is required >&2; exit 1"))
    with pytest.raises(ConnectionLost) as raised:
        Shell("redis-1", pipe, nonce="n")
    assert raised.value.said == "sudo: a password is required"


def test_a_shell_that_is_gone_before_it_is_sent_anything_still_says_why() -> None:
    pipe = ProcessPipe(("sh", "-c", "echo sudo: a password is required >&2; exit 1"))
    pipe.process.wait(timeout=10)
    with pytest.raises(ConnectionLost) as raised:
        Shell("redis-1", pipe, nonce="n")
    assert raised.value.said == "sudo: a password is required"


def test_chatter_before_the_shell_is_ready_is_ignored() -> None:
    pipe = ProcessPipe(("sh", "-c", "echo Welcome; echo to you >&2; exec bash --norc"))
    shell = Shell("redis-1", pipe, nonce="n")
    (result,) = shell.run_all([Command(("echo", "hello"))])
    shell.close()
    assert (result.stdout, result.stderr) == (b"hello\n", b"")


def test_a_frame_is_found_however_it_is_split() -> None:
    out, err = b"a\nb\n\nn-1 0\nrest", b"e\nn-1\n"
    for cut in range(len(out)):
        reader = FrameReader()
        reader.feed(out[:cut], b"")
        assert reader.take("n-1") is None
        reader.feed(out[cut:], err)
        result = reader.take("n-1")
        assert result is not None
        assert (result.code, result.stdout, result.stderr) == (0, b"a\nb\n", b"e")
