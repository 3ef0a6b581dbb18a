"""A machine over SSH: one connection, one login, one shell; its host key is pinned."""

import secrets
import shlex
from dataclasses import dataclass, field
from typing import Self

import paramiko

from instances.remote import lock
from instances.remote.channel import (
    ChannelPipe,
    ChannelStream,
    close_quietly,
    open_exec,
    open_forwarded,
    open_relayed,
)
from instances.remote.errors import ConnectionLost, SudoRefused
from instances.remote.host import ShellHost, Stream
from instances.remote.host_key import check_host_key, check_pinned
from instances.remote.shell import ARGV, SUDO, Shell
from instances.remote.transport import (
    Transport,
    dial_ssh,
    exchange_keys,
    host_key_types,
    log_in,
    new_transport,
)
from instances.secret import Secret


@dataclass(frozen=True, slots=True)
class SshTarget:
    """How to reach a machine.

    Args:
        name: What errors call it.
        private_key: OpenSSH or PEM, without a passphrase.
        host_key: The pinned key line, "ssh-ed25519 AAAA…".
        use_sudo: Become root by `sudo -n`; without it the user is root.
        jump: The machine to go through.
    """

    name: str
    address: str
    port: int
    user: str
    private_key: Secret
    host_key: str
    use_sudo: bool = False
    jump: "SshTarget | None" = field(default=None)


class SshHost(ShellHost):
    """A machine over SSH. `open` logs in; `close` must follow."""

    def __init__(
        self, name: str, shell: Shell, transports: list[Transport], *, lock_path: str
    ) -> None:
        super().__init__(name, shell, lock_path=lock_path)
        self._transports = transports
        self._forwarding = True

    @classmethod
    def open(
        cls,
        target: SshTarget,
        *,
        connect_timeout: float = 5.0,
        login_timeout: float = 10.0,
        lock_path: str = lock.PATH,
    ) -> Self:
        """Connect, check the host key, log in, start the root shell; raises RemoteError."""
        transports = _log_in_through(target, connect_timeout, login_timeout)
        try:
            shell = _start_shell(target, transports[-1], login_timeout)
        except BaseException:
            _close_all(transports)
            raise
        return cls(target.name, shell, transports, lock_path=lock_path)

    def connect(self, address: str, port: int, timeout: float = 5.0) -> Stream:
        channel, self._forwarding = _open_stream(
            self.name, self._transports[-1], (address, port), timeout, forwarding=self._forwarding
        )
        channel.settimeout(timeout)
        return ChannelStream(channel)

    def close(self) -> None:
        super().close()
        _close_all(self._transports)


def _log_in_through(target: SshTarget, connect: float, login: float) -> list[Transport]:
    """The transports from the panel to the target, jump hosts first."""
    check_pinned(target.name, target.host_key)
    before = _log_in_through(target.jump, connect, login) if target.jump else []
    try:
        return [*before, _log_in(target, before, connect, login)]
    except BaseException:
        _close_all(before)
        raise


def _log_in(target: SshTarget, before: list[Transport], connect: float, login: float) -> Transport:
    place = (target.address, target.port)
    sock = (
        _open_stream(target.name, before[-1], place, connect, forwarding=True)[0]
        if before
        else dial_ssh(target.name, *place, connect)
    )
    transport = new_transport(sock, host_key_types(target.host_key))
    try:
        shown = exchange_keys(target.name, transport, login)
        check_host_key(target.name, pinned=target.host_key, shown=shown)
        log_in(target.name, transport, target.user, target.private_key, login)
    except BaseException:
        transport.close()
        raise
    return transport


def _start_shell(target: SshTarget, transport: Transport, timeout: float) -> Shell:
    argv = (*SUDO, *ARGV) if target.use_sudo else ARGV
    channel = open_exec(target.name, transport, f"exec {shlex.join(argv)}", timeout)
    try:
        return Shell(
            target.name, ChannelPipe(channel), nonce=secrets.token_hex(16), timeout=timeout
        )
    except ConnectionLost as e:
        if target.use_sudo and "sudo" in e.said:
            raise SudoRefused(target.name, f"sudo refused {target.user}: {e.said}") from e
        raise


def _open_stream(
    node: str, transport: Transport, place: tuple[str, int], timeout: float, *, forwarding: bool
) -> tuple[paramiko.Channel, bool]:
    """The stream, and whether sshd forwards."""
    stream = open_forwarded(node, transport, *place, timeout) if forwarding else None
    if stream is not None:
        return stream, True
    return open_relayed(node, transport, *place, timeout), False


def _close_all(transports: list[Transport]) -> None:
    for transport in reversed(transports):
        close_quietly(transport)
