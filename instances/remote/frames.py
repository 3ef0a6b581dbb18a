"""Cutting a shell's two output streams into results. Pure: no IO."""

from instances.nodeconf.command import Result

SKIPPED = -1


class FrameReader:
    """Collects stdout and stderr until both show a command's end mark.

    The mark is a newline, a tag that nobody on the node can guess, and (on stdout) the exit code,
    so any bytes may stand in the output itself.
    """

    def __init__(self) -> None:
        self._out = _Stream()
        self._err = _Stream()

    def feed(self, stdout: bytes, stderr: bytes) -> None:
        """Add what has arrived."""
        self._out.feed(stdout)
        self._err.feed(stderr)

    def take(self, tag: str) -> Result | None:
        """The result of the command with this tag, or None while it is incomplete."""
        mark = b"\n" + tag.encode()
        out = self._out.find(mark + b" ", upto=b"\n")
        err = self._err.find(mark, upto=b"\n")
        if out is None or err is None:
            return None
        stdout, code = self._out.cut(out, len(mark) + 1)
        stderr, _ = self._err.cut(err, len(mark))
        return Result(code=int(code.split()[0]), stdout=stdout, stderr=stderr)

    @property
    def stderr(self) -> bytes:
        """What stderr holds beyond the frames already taken."""
        return bytes(self._err.buffer)


class _Stream:
    def __init__(self) -> None:
        self.buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> None:
        self.buffer += chunk

    def find(self, mark: bytes, *, upto: bytes) -> tuple[int, int] | None:
        start = self.buffer.find(mark, self._searched)
        if start < 0:
            self._searched = max(0, len(self.buffer) - len(mark))
            return None
        end = self.buffer.find(upto, start + len(mark))
        self._searched = start
        return None if end < 0 else (start, end)

    def cut(self, span: tuple[int, int], mark: int) -> tuple[bytes, bytes]:
        start, end = span
        before, rest = bytes(self.buffer[:start]), bytes(self.buffer[start + mark : end])
        del self.buffer[: end + 1]
        self._searched = 0
        return before, rest
