"""One long-lived bash on a node: a command costs a round trip, not a channel and a login.

The framing, and why it is so:

* Each command is one compound command, `{ ...; }`, with nothing after its last brace. Bash runs a
  compound command only when it has read all of it, so a line that a lost connection cut short is a
  syntax error and never half a command.
* What a command reads follows its line, of a stated length; bash takes it into a variable with
  `read -N` (a read cut short fails, and then nothing runs) and hands it on through the builtin
  printf: it stands in no process's argv and in no file. Not in the line itself: bash reads its
  script byte by byte from a pipe, 170 ms for a redis.conf, and prints the text of a command that a
  signal killed. A variable keeps no NUL byte: what holds one is sent as base64.
* `bash -c SCRIPT` is not started: the script comes the same way and runs in a subshell of the shell
  that is there, with its arguments as $1 and so on; $$ is then the shell. To start one more bash
  would take a small machine 3 ms each time.
* `exec --` in a subshell runs programs only: no builtin can change or end the shell itself.
* stdin is /dev/null, or the command would eat the lines that follow.
* Descriptor 9 is the run's lock (see `instances.remote.lock`); children do not inherit it.
"""

import base64
import contextlib
import shlex
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from instances.nodeconf.command import Command, Result
from instances.remote.errors import CommandTimedOut, ConnectionLost
from instances.remote.frames import SKIPPED, FrameReader
from instances.secret import Secret

ARGV = ("bash", "--noprofile", "--norc")
BASH = ("bash", "-c")
SUDO = ("sudo", "-n", "-H", "--")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Less than any pipe or SSH window takes at once, so no thread is needed to send it.
INLINE = 32 * 1024
# Seconds that a peer which takes nothing more may still be read for.
LAST_WORDS = 1.0
_RESET = b"{ bad=; input=; }\n"

_PROLOGUE = """\
{ unset BASH_ENV ENV CDPATH; export LC_ALL=C PATH=%s; umask 077; cd /; \
printf '\\n%%s %%s\\n' %s "$$"; printf '\\n%%s\\n' %s >&2; }
"""

_Wait = tuple[str, tuple[str, ...], float]
"""What is waited for: a tag, the argv it stands for, and for how many seconds."""


class Duplex(Protocol):
    """A byte stream to a bash and two back."""

    def send_all(self, payload: bytes) -> None:
        """Send everything; raises OSError or EOFError where the peer is gone."""

    def receive(self, timeout: float) -> tuple[bytes, bytes]:
        """What has arrived on stdout and stderr; raises TimeoutError, EOFError at the end."""

    def close(self) -> None:
        """End the stream: bash sees the end of its input and exits."""


class Shell:
    """A bash at the other end of a `Duplex`; one caller at a time, others wait.

    Args:
        node: The node's name, for errors.
        pipe: The stream.
        nonce: A random word that marks the ends of outputs.
        timeout: Seconds that the shell may take to start.
    """

    def __init__(self, node: str, pipe: Duplex, *, nonce: str, timeout: float = 10.0) -> None:
        self.node = node
        self._pipe = pipe
        self._nonce = nonce
        self._count = 0
        self._frames = FrameReader()
        self._turn = threading.Lock()
        self.closed = False
        self.pid = self._start(timeout)

    def run_all(self, commands: Sequence[Command]) -> list[Result]:
        """Send the commands at once and return their results, in order.

        The shell itself stops at the first command whose code is not in its `ok`; that one's
        result is then the last of the list.
        """
        tagged = [(self._tag(), command) for command in commands]
        text = b"".join(command_text(command, tag) for tag, command in tagged)
        waits = [(tag, command.argv, command.timeout) for tag, command in tagged]
        return self._exchange(_RESET + text, waits)

    def run_inside(self, script: str, *arguments: str, timeout: float = 10.0) -> Result:
        """Run a constant script in the shell process itself, as a function with arguments."""
        tag = self._tag()
        line = f"inside() {{ {script}\n}}; inside {shlex.join(arguments)} </dev/null"
        text = _framed(line, tag, frozenset(range(256)))
        return self._exchange(_RESET + text.encode(), [(tag, ("lock", *arguments), timeout)])[0]

    def close(self) -> None:
        """End the shell; it frees its lock as it exits."""
        self.closed = True
        self._pipe.close()

    def _start(self, timeout: float) -> int:
        tag = self._tag()
        text = _PROLOGUE % (shlex.quote(PATH), shlex.quote(tag), shlex.quote(tag))
        (started,) = self._exchange(text.encode(), [(tag, ARGV, timeout)])
        return started.code

    def _tag(self) -> str:
        self._count += 1
        return f"{self._nonce}-{self._count}"

    def _exchange(self, text: bytes, waits: Sequence[_Wait]) -> list[Result]:
        with self._turn:
            self._send(text)
            results = [self._wait(*wait) for wait in waits]
        return [result for result in results if result.code != SKIPPED]

    def _send(self, payload: bytes) -> None:
        if self.closed:
            raise ConnectionLost(self.node, "the connection was closed before")
        if len(payload) > INLINE:
            # The shell may be writing while we are: somebody has to read at the same time.
            threading.Thread(target=self._send_quietly, args=(payload,), daemon=True).start()
            return
        try:
            self._pipe.send_all(payload)
        except (OSError, EOFError) as e:
            raise self._lost() from e

    def _send_quietly(self, payload: bytes) -> None:
        try:
            self._pipe.send_all(payload)
        except (OSError, EOFError):
            # The reader meets the same end and reports it.
            self._pipe.close()

    def _wait(self, tag: str, argv: tuple[str, ...], timeout: float) -> Result:
        deadline = time.monotonic() + timeout
        while (result := self._frames.take(tag)) is None:
            try:
                self._frames.feed(*self._pipe.receive(deadline - time.monotonic()))
            except TimeoutError as e:
                self.close()
                raise CommandTimedOut(self.node, argv, timeout) from e
            except (OSError, EOFError) as e:
                raise self._lost() from e
        return result

    def _lost(self) -> ConnectionLost:
        self._read_last_words()
        self.close()
        said = self._frames.stderr[-500:].decode(errors="replace").strip()
        return ConnectionLost(self.node, "the connection ended", said=said)

    def _read_last_words(self) -> None:
        """Read what the peer wrote before it went, for the error: sending can fail first."""
        deadline = time.monotonic() + LAST_WORDS
        with contextlib.suppress(OSError, EOFError):
            # TimeoutError is an OSError.
            while True:
                self._frames.feed(*self._pipe.receive(deadline - time.monotonic()))


def command_text(command: Command, tag: str) -> bytes:
    """What is sent for one command. The only place where argv becomes shell text."""
    program, script = _program(command.argv)
    takes, payloads = [], []
    if script is not None:
        takes.append(_take("script", script))
        payloads.append(script)
    run = f"( {program} ) </dev/null 9>&-"
    if command.stdin is not None:
        content = _bytes(command.stdin)
        encoded = b"\0" in content
        payloads.append(base64.b64encode(content) if encoded else content)
        takes.append(_take("input", payloads[-1]))
        decode = " 9>&- | base64 -d" if encoded else ""
        run = f"""printf '%s' "$input"{decode} 9>&- | ( {program} ) 9>&-"""
    line = _framed(run, tag, command.ok, "".join(takes))
    return b"".join([line.encode(), *payloads])


def _program(argv: tuple[str, ...]) -> tuple[str, bytes | None]:
    """The text that runs it, and the script that this needs in a variable, if any."""
    if argv[:2] != BASH:
        return f"exec -- {shlex.join(argv)}", None
    return f'set -- {shlex.join(argv[4:])}; eval "$script"', argv[2].encode()


def _take(variable: str, payload: bytes) -> str:
    """The text that reads a payload; of length 0, `read` would read all there is."""
    if not payload:
        return f"{variable}=; "
    return f"IFS= read -r -N {len(payload)} {variable} || bad=1; "


def _framed(line: str, tag: str, ok: frozenset[int], take: str = "") -> str:
    good = "|".join(str(code) for code in sorted(ok)) or "none"
    mark = shlex.quote(tag)
    return (
        f'{{ {take}if [ -z "$bad" ]; then {line}; s=$?; case $s in {good}) ;; *) bad=1 ;; esac; '
        f"else s={SKIPPED}; fi; input=; printf '\\n%s %s\\n' {mark} \"$s\"; "
        f"printf '\\n%s\\n' {mark} >&2; }}\n"
    )


def _bytes(content: bytes | Secret) -> bytes:
    return content.reveal().encode() if isinstance(content, Secret) else content
