"""SSH channels: one under a Shell, and TCP streams that start on the machine."""

import contextlib
import shlex
import threading
import time

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from instances.remote.errors import ConnectionLost, Unreachable
from instances.remote.transport import deadline

PROHIBITED = 1

# Both directions end together: a `cat` left behind would keep the server's connection open.
RELAY = (
    'exec 3<>"/dev/tcp/$1/$2" && echo && '
    "{ cat <&3 & r=$!; cat >&3 <&0 & w=$!; wait -n; kill $r $w; }"
)


class Bell(threading.Event):
    """An Event that two of paramiko's pipes share: only the listener silences it."""

    def clear(self) -> None:
        """Nothing: one pipe being empty does not mean that the other is."""

    def answer(self) -> None:
        super().clear()


class ChannelPipe:
    """A Duplex over an exec channel."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._bell = Bell()
        channel.in_buffer.set_event(self._bell)
        channel.in_stderr_buffer.set_event(self._bell)

    def send_all(self, payload: bytes) -> None:
        self._channel.sendall(payload)

    def receive(self, timeout: float) -> tuple[bytes, bytes]:
        until = time.monotonic() + timeout
        while True:
            self._bell.answer()
            # Asked for before the reads: what came ahead of the end is then never missed.
            ended = self._channel.eof_received or self._channel.closed
            out, err = self._drain()
            if out or err:
                return out, err
            if ended:
                raise EOFError
            if not self._bell.wait(max(0.0, until - time.monotonic())):
                raise TimeoutError

    def _drain(self) -> tuple[bytes, bytes]:
        channel = self._channel
        out = channel.recv(1 << 20) if channel.recv_ready() else b""
        err = channel.recv_stderr(1 << 20) if channel.recv_stderr_ready() else b""
        return out, err

    def close(self) -> None:
        close_quietly(self._channel)


class ChannelStream:
    """A TCP stream over a channel, with a socket's errors: OSError and nothing else."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def sendall(self, payload: bytes, /) -> None:
        try:
            self._channel.sendall(payload)
        except (SSHException, EOFError) as e:
            raise ConnectionResetError("the SSH connection ended") from e

    def recv(self, size: int, /) -> bytes:
        try:
            return self._channel.recv(size)
        except (SSHException, EOFError) as e:
            raise ConnectionResetError("the SSH connection ended") from e

    def settimeout(self, timeout: float | None, /) -> None:
        self._channel.settimeout(timeout)

    def shutdown(self, how: int, /) -> None:
        with contextlib.suppress(SSHException, EOFError):
            self._channel.shutdown(how)

    def close(self) -> None:
        close_quietly(self._channel)


def close_quietly(closing: paramiko.Channel | paramiko.Transport) -> None:
    """Close it; paramiko raises where the connection below has ended already."""
    with contextlib.suppress(SSHException, EOFError, OSError):
        closing.close()


def open_exec(
    node: str, transport: paramiko.Transport, command: str, timeout: float
) -> paramiko.Channel:
    """An exec channel; raises ConnectionLost."""
    try:
        with deadline(transport, timeout):
            channel = transport.open_session(timeout=timeout)
            channel.exec_command(command)
    except (SSHException, EOFError, OSError) as e:
        raise ConnectionLost(node, "the machine did not open a shell for us") from e
    return channel


def open_forwarded(
    node: str, transport: paramiko.Transport, address: str, port: int, timeout: float
) -> paramiko.Channel | None:
    """A TCP stream through direct-tcpip, or None where sshd forbids forwarding."""
    try:
        return transport.open_channel(
            "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout
        )
    except ChannelException as e:
        if e.code == PROHIBITED:
            return None
        raise _refused(node, address, port) from e
    except (SSHException, EOFError, OSError) as e:
        if transport.is_active():
            raise _silent(node, address, port) from e
        raise ConnectionLost(node, "the connection ended") from e


def open_relayed(
    node: str, transport: paramiko.Transport, address: str, port: int, timeout: float
) -> paramiko.Channel:
    """The same stream through a bash on the machine, where forwarding is forbidden."""
    relay = shlex.join(("bash", "-c", RELAY, "tcp", address, str(port)))
    channel = open_exec(node, transport, relay, timeout)
    channel.settimeout(timeout)
    try:
        greeting = channel.recv(1)
    except TimeoutError as e:
        channel.close()
        raise _silent(node, address, port) from e
    if greeting != b"\n":
        channel.close()
        raise _refused(node, address, port)
    return channel


def _refused(node: str, address: str, port: int) -> Unreachable:
    return Unreachable(
        node, f"{address} port {port} refused the connection from there", reason="ConnectionRefused"
    )


def _silent(node: str, address: str, port: int) -> Unreachable:
    return Unreachable(
        node, f"{address} port {port} did not answer from there", reason="ConnectTimeout"
    )
