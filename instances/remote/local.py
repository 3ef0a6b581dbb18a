"""The panel's own machine as a Host: a real bash without SSH, for fast tests."""

import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import IO, Self

from instances.remote import lock
from instances.remote.dial import dial
from instances.remote.host import ShellHost, Stream
from instances.remote.shell import ARGV, Shell


class ProcessPipe:
    """A Duplex over a child process in a session of its own."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
        )
        self._stdin, self._stdout, self._stderr = self._streams()
        self._closed = False
        self._closing = threading.Lock()
        self._reading = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)

    def _streams(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        process = self.process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise TypeError("the process was started without pipes")
        return process.stdin, process.stdout, process.stderr

    def send_all(self, payload: bytes) -> None:
        view = memoryview(payload)
        try:
            while view:
                view = view[os.write(self._stdin.fileno(), view) :]
        except ValueError as e:
            # `close` on another thread closed the pipe.
            raise EOFError from e

    def receive(self, timeout: float) -> tuple[bytes, bytes]:
        until = time.monotonic() + timeout
        while True:
            with self._reading:
                if self._closed or not self._selector.get_map():
                    raise EOFError
                # In slices, so that `close` on another thread need not wait for the timeout.
                wait = min(0.1, max(0.0, until - time.monotonic()))
                ready = [key.fileobj for key, _ in self._selector.select(wait)]
                if ready:
                    return self._read(self._stdout, ready), self._read(self._stderr, ready)
            if time.monotonic() >= until:
                raise TimeoutError

    def _read(self, stream: IO[bytes], ready: Sequence[object]) -> bytes:
        if stream not in ready:
            return b""
        chunk = os.read(stream.fileno(), 65536)
        if not chunk:
            self._selector.unregister(stream)
        return chunk

    def close(self) -> None:
        """Close the pipes; whatever does not end by itself within a second is killed."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._stdin.close()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        with self._reading:
            self._selector.close()
            self._stdout.close()
            self._stderr.close()


class LocalHost(ShellHost):
    """This machine."""

    @classmethod
    def open(cls, name: str = "local", *, lock_path: str = lock.PATH) -> Self:
        shell = Shell(name, ProcessPipe(ARGV), nonce=secrets.token_hex(16))
        return cls(name, shell, lock_path=lock_path)

    def connect(self, address: str, port: int, timeout: float = 5.0) -> Stream:
        return dial(self.name, address, port, timeout)
