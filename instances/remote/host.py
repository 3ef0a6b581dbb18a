"""A machine as steps and services see it."""

import time
from collections.abc import Sequence
from typing import Protocol

from instances.nodeconf.command import Command, FileState, Result
from instances.remote import files, lock
from instances.remote.errors import CommandFailed, FileChanged, LockHeld, RemoteError
from instances.remote.lock import Holder
from instances.remote.shell import Shell
from instances.secret import Secret


class Stream(Protocol):
    """A connected TCP stream: a socket, or something that behaves like one."""

    def sendall(self, payload: bytes, /) -> None:
        """Send everything; raises TimeoutError or OSError."""

    def recv(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty at the end; raises TimeoutError or OSError."""

    def settimeout(self, timeout: float | None, /) -> None:
        """Seconds that later sends and receives may block."""

    def shutdown(self, how: int, /) -> None:
        """End one direction or both, as a socket does."""

    def close(self) -> None:
        """Close it."""


class Host(Protocol):
    """A machine: run commands, read and write files, open a TCP stream from there.

    Every method raises RemoteError's family and nothing else. One thread at a time is served;
    others wait.
    """

    name: str

    def run(self, command: Command) -> Result:
        """Run one command; raises CommandFailed where its code is not in `command.ok`."""

    def run_all(self, commands: Sequence[Command]) -> list[Result]:
        """Run several in one round trip; the first that fails stops the rest and is raised."""

    def read_files(self, paths: Sequence[str]) -> list[FileState]:
        """Read files in one round trip; an absent one has content None."""

    def write_file(
        self, path: str, content: bytes | Secret, *, mode: int, owner: str, group: str
    ) -> None:
        """Put a file in place atomically; a symbolic link at `path` is replaced."""

    def replace_file(self, path: str, content: bytes, seen: bytes | None = None) -> None:
        """Replace an existing file's content atomically; raises FileChanged if it is not `seen`."""

    def make_directory(self, path: str, *, mode: int, owner: str, group: str) -> None:
        """Create a directory (and its parents), or give it this owner and mode."""

    def connect(self, address: str, port: int, timeout: float = 5.0) -> Stream:
        """Open a TCP stream from the machine; raises Unreachable."""

    def take_lock(self, run: int, attempt: int) -> None:
        """Hold the machine for a run until release, close or disconnection; raises LockHeld."""

    def end_holder(self, holder: Holder) -> None:
        """End a dead run's shell and its children; raises LockHeld where it holds on."""

    def release_lock(self) -> None:
        """Let the machine go; nothing happens where it is not held."""

    def close(self) -> None:
        """End the connection."""


class ShellHost:
    """What every Host does over a Shell."""

    def __init__(self, name: str, shell: Shell, *, lock_path: str = lock.PATH) -> None:
        self.name = name
        self.shell = shell
        self.lock_path = lock_path

    def run(self, command: Command) -> Result:
        return self.run_all([command])[0]

    def run_all(self, commands: Sequence[Command]) -> list[Result]:
        if not commands:
            return []
        results = self.shell.run_all(commands)
        last = commands[len(results) - 1]
        if results[-1].code not in last.ok:
            raise failure(self.name, last, results[-1])
        return results

    def read_files(self, paths: Sequence[str]) -> list[FileState]:
        return files.parse_read(paths, self.run(files.read_command(paths)).stdout) if paths else []

    def write_file(
        self, path: str, content: bytes | Secret, *, mode: int, owner: str, group: str
    ) -> None:
        self.run(files.write_command(path, content, mode=mode, owner=owner, group=group))

    def replace_file(self, path: str, content: bytes, seen: bytes | None = None) -> None:
        self.run(files.replace_command(path, content, seen=seen))

    def make_directory(self, path: str, *, mode: int, owner: str, group: str) -> None:
        self.run(files.directory_command(path, mode=mode, owner=owner, group=group))

    def take_lock(self, run: int, attempt: int) -> None:
        for _ in range(10):
            result = self.shell.run_inside(lock.TAKE, self.lock_path, str(run), str(attempt))
            if result.code == 0:
                return
            if result.code != lock.HELD:
                raise CommandFailed(self.name, ("lock",), result.code, result.stderr)
            holder = lock.parse_holder(result.text)
            if holder is not None:
                raise LockHeld(self.name, holder.run, holder.attempt, holder.pid)
            # It was just taken, and its holder has not written its name yet.
            time.sleep(0.05)
        raise LockHeld(self.name, None, None, None)

    def end_holder(self, holder: Holder) -> None:
        argv = ("bash", "-c", lock.END, "end-holder", self.lock_path, str(holder.pid))
        if self.run(Command(argv, ok=frozenset({0, lock.HELD}))).code == lock.HELD:
            raise LockHeld(self.name, holder.run, holder.attempt, holder.pid)

    def release_lock(self) -> None:
        self.shell.run_inside(lock.RELEASE, self.lock_path)

    def close(self) -> None:
        self.shell.close()


def failure(node: str, command: Command, result: Result) -> RemoteError:
    """The error for a command that ended with a code it should not."""
    if result.code == files.CHANGED and command.argv[2:4] == (files.REPLACE, "replace"):
        return FileChanged(node, command.argv, command.argv[4], result.stderr)
    return CommandFailed(node, command.argv, result.code, result.stderr)
