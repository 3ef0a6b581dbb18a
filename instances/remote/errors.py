"""One family of errors for everything that can go wrong between the panel and a node."""

# ruff: noqa: N818 (the names say what happened: `except HostKeyChanged` reads as a sentence)

import shlex
from typing import ClassVar

TAIL = 2000
_ARGUMENT = 80


class RemoteError(Exception):
    """Something went wrong on the way to a node or on it.

    Args:
        node: The node's or machine's name.
        message: What happened, in a sentence that names no secret.
        reason: A CamelCase code; the class's own where it is left out.
        next_step: What the operator can do; the class's own where it is left out.
    """

    default_reason: ClassVar[str] = "RemoteError"
    default_next_step: ClassVar[str] = "Try again; if it stays, look at the machine's own log."

    def __init__(
        self, node: str, message: str, *, reason: str | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(f"{node}: {message}")
        self.node = node
        self.message = message
        self.reason = reason or self.default_reason
        self.next_step = next_step or self.default_next_step


class Unreachable(RemoteError):
    """No connection. Reasons: ConnectionRefused, ConnectTimeout, NoRoute, NameNotFound, ..."""

    default_reason = "Unreachable"
    default_next_step = "Check the address, the port, and that the machine is up and lets us in."


class HostKeyUnknown(RemoteError):
    """The machine's host key has not been confirmed: no login is tried."""

    default_reason = "HostKeyUnknown"
    default_next_step = "Compare the machine's fingerprint with what it shows itself, and confirm."


class HostKeyChanged(RemoteError):
    """The machine shows another host key than the pinned one: no login is tried."""

    default_reason = "HostKeyChanged"
    default_next_step = (
        "If the machine was reinstalled, confirm its new fingerprint; "
        "if not, somebody may be between you and it."
    )


class AuthenticationFailed(RemoteError):
    """The machine refused the login. Reasons: AuthenticationFailed, PrivateKeyUnusable."""

    default_reason = "AuthenticationFailed"
    default_next_step = "Add the panel's public key to the user's ~/.ssh/authorized_keys there."


class SudoRefused(RemoteError):
    """The login works, but sudo without a password does not."""

    default_reason = "SudoRefused"
    default_next_step = (
        "Allow it in a file under /etc/sudoers.d: USER ALL=(root) NOPASSWD: ALL, "
        "or register the machine with a root login."
    )


class CommandFailed(RemoteError):
    """A command ended with a code that its `Command.ok` does not hold."""

    default_reason = "CommandFailed"
    default_next_step = "Read the command's own message, mend its cause on the machine, try again."

    def __init__(self, node: str, argv: tuple[str, ...], code: int, stderr: bytes) -> None:
        self.command = masked(argv)
        self.code = code
        self.stderr = stderr[-TAIL:].decode(errors="replace").strip()
        said = f": {self.stderr}" if self.stderr else ""
        super().__init__(node, f"`{self.command}` ended with code {code}{said}")


class FileChanged(CommandFailed):
    """A file on the node is not the one that was read: nothing was written."""

    default_reason = "FileChanged"
    default_next_step = "Look at the preview again: it will show the file as it is now."

    def __init__(self, node: str, argv: tuple[str, ...], path: str, stderr: bytes) -> None:
        super().__init__(node, argv, 65, stderr)
        self.path = path
        self.message = f"{path} was changed by somebody else since it was read"
        self.args = (f"{node}: {self.message}",)


class CommandTimedOut(RemoteError):
    """A command did not end in time. It may still run there; the connection is closed."""

    default_reason = "CommandTimedOut"
    default_next_step = "See on the machine whether the command still runs, then try again."

    def __init__(self, node: str, argv: tuple[str, ...], timeout: float) -> None:
        self.command = masked(argv)
        super().__init__(node, f"`{self.command}` did not end within {timeout:g} s")


class ConnectionLost(RemoteError):
    """The connection ended. What had been sent whole may have been done.

    Args:
        node: The machine's name.
        message: What happened.
        said: The last that the machine wrote.
    """

    default_reason = "ConnectionLost"
    default_next_step = "Check that the machine is up, and run again: what is done is skipped."

    def __init__(self, node: str, message: str, *, said: str = "") -> None:
        self.said = said
        super().__init__(node, f"{message}: {said}" if said else message)


class LockHeld(RemoteError):
    """Another run holds the machine.

    Args:
        node: The machine's name.
        run: The run that holds it, as the machine knows it; None where it did not say.
        attempt: Its attempt.
        pid: The process id of its shell there.
    """

    default_reason = "LockHeld"
    default_next_step = "Wait for that run to end, or stop it."

    def __init__(self, node: str, run: int | None, attempt: int | None, pid: int | None) -> None:
        self.run, self.attempt, self.pid = run, attempt, pid
        who = "an unknown holder" if run is None else f"run {run}, attempt {attempt}"
        super().__init__(node, f"the machine is held by {who} (process {pid or 'unknown'})")


class ServerRefused(RemoteError):
    """A Redis or Valkey server answered with an error."""

    default_reason = "ServerError"
    default_next_step = "Read the server's own message."


class TlsFailed(RemoteError):
    """No usable TLS session.

    Reasons: ChainInvalid, NameMismatch, Expired, NotYetValid, HandshakeFailed, HandshakeTimeout,
    ClientCertificateRejected, ProtocolTooOld, PlaintextPort, KeyPairUnusable.
    """

    default_reason = "HandshakeFailed"
    default_next_step = "Compare the certificate and the TLS settings on both sides."


def masked(argv: tuple[str, ...]) -> str:
    """The command for a reader: long arguments (scripts) are cut. Secrets never stand in argv."""
    return shlex.join(_short(argument) for argument in argv)


def _short(argument: str) -> str:
    line = argument.strip().partition("\n")
    shown = line[0][:_ARGUMENT]
    return shown if shown == argument else f"{shown}…"
