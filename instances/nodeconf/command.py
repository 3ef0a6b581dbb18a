"""Commands as values: builders make them, `instances.remote` runs them."""

from dataclasses import dataclass, field

from instances.secret import Secret


@dataclass(frozen=True, slots=True)
class Command:
    """One command for a node.

    Args:
        argv: The program and its arguments. Never a shell string: `shlex.join` turns it into one,
            in `instances.remote.shell` alone.
        stdin: What the program reads. A Secret is sent the same way and never logged.
        timeout: Seconds before the connection is given up.
        ok: The exit codes that count as success.
    """

    argv: tuple[str, ...]
    stdin: bytes | Secret | None = None
    timeout: float = 30.0
    ok: frozenset[int] = field(default_factory=lambda: frozenset({0}))


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left: its exit code and output."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; undecodable bytes are replaced."""
        return self.stdout.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class FileState:
    """What `instances.remote` saw of one path.

    Args:
        content: The bytes, or None where the path is absent.
        mode: Permission bits, as in ``0o640``.
        owner: User and group names.
        target: The resolved path where the path itself is a symbolic link, else the path.
    """

    path: str
    content: bytes | None
    mode: int = 0o644
    owner: tuple[str, str] = ("root", "root")
    target: str = ""
