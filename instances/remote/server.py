"""A Redis or Valkey server in its own protocol, through whatever stream reaches it."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from redis import exceptions
from redis._parsers import _RESP2Parser
from redis.connection import Connection

from instances.remote.errors import ConnectionLost, RemoteError, ServerRefused, Unreachable
from instances.remote.host import Host, Stream
from instances.remote.tls_stream import TlsClient, open_tls
from instances.secret import Secret

Argument = str | bytes | int | float

_BY_PREFIX = {
    "DENIED": "ProtectedMode",
    "NOAUTH": "PasswordNeeded",
    "WRONGPASS": "PasswordWrong",
    "NOPERM": "NoPermission",
    "LOADING": "Loading",
    "ERR unknown command": "CommandRenamed",
}
_BY_TEXT = {
    "no password is set": "PasswordNotSet",
    "without any password configured": "PasswordNotSet",
    "invalid password": "PasswordWrong",
}
_NEXT_STEP = {
    "ProtectedMode": "Connect from the machine itself, or set a password or protected-mode no.",
    "PasswordNeeded": "Store the server's user and password with the node.",
    "PasswordWrong": "Correct the user and password stored with the node.",
    "PasswordNotSet": "Remove the password stored with the node: the server has none.",
    "NoPermission": "Give the panel's user the right in the server's ACL.",
    "CommandRenamed": "The server hides this command (rename-command): change its file, restart.",
    "Loading": "Wait until the server has loaded its data, and try again.",
}


class PlainErrors(_RESP2Parser):
    """Leaves error replies as the server wrote them.

    redis-py takes their code off, and counts some (NOAUTH, LOADING) as a lost connection.
    """

    @classmethod
    def parse_error(cls, response: str) -> exceptions.ResponseError:
        return exceptions.ResponseError(response)


class StreamConnection(Connection):
    """redis-py's connection over a stream that somebody else opens."""

    def __init__(self, open_stream: Callable[[], Stream], **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._open_stream = open_stream

    def _connect(self) -> Any:
        stream = self._open_stream()
        stream.settimeout(self.socket_timeout)
        return stream


class RedisClient:
    """One connection to one server. Replies are RESP2's: text, integers, None and lists.

    Text is UTF-8; other bytes survive a round trip as surrogate escapes. Threads take turns.
    """

    def __init__(self, node: str, connection: Connection) -> None:
        self.node = node
        self._connection = connection
        self._turn = Lock()

    def execute(self, *arguments: Argument) -> Any:
        """Send one command; raises ServerRefused, Unreachable (ServerSilent), ConnectionLost."""
        reply = self.pipeline([arguments])[0]
        if isinstance(reply, ServerRefused):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send all at once. What the server refuses stands in its place as a ServerRefused."""
        with self._turn:
            return self._answered(commands)

    def _answered(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        try:
            if not self._connection.is_connected:
                raise ConnectionLost(self.node, "the connection to the server was closed before")
            packed = self._connection.pack_commands(commands)  # type: ignore[no-untyped-call]
            self._connection.send_packed_command(packed)  # type: ignore[no-untyped-call]
            return [self._reply() for _ in commands]
        except exceptions.RedisError as e:
            self.close()
            raise _translated(self.node, e) from e
        except BaseException:
            # Replies that nobody read would answer the next commands.
            self.close()
            raise

    def config(self, *patterns: str) -> dict[str, str]:
        """CONFIG GET of each pattern, `*` where none is given, as one mapping."""
        found: dict[str, str] = {}
        for reply in self.pipeline([("CONFIG", "GET", each) for each in patterns or ("*",)]):
            if isinstance(reply, ServerRefused):
                raise reply
            found.update(zip(reply[::2], reply[1::2], strict=True))
        return found

    def alive(self) -> bool:
        """Say whether the server still answers on this connection, if only by refusing."""
        try:
            self.execute("PING")
        except ServerRefused:
            return True
        except RemoteError:
            return False
        return True

    def close(self) -> None:
        """Close the connection and its stream."""
        self._connection.disconnect()  # type: ignore[no-untyped-call]

    def _reply(self) -> Any:
        try:
            return _own_errors(self.node, self._connection.read_response(disconnect_on_error=False))
        except exceptions.ResponseError as e:
            return refused(self.node, e)


def open_redis(
    host: Host,
    address: str,
    port: int,
    *,
    username: str | None = None,
    password: Secret | None = None,
    tls: TlsClient | None = None,
    timeout: float = 5.0,
) -> RedisClient:
    """Connect from `host` to the server at address and port, and log in where a password is given.

    Args:
        host: The machine the connection starts at.
        address: The server's address, as the machine sees it.
        port: Its port.
        username: The ACL user; the default user where it is left out.
        password: Its password.
        tls: Speak TLS, verifying chain and name; plaintext where it is left out.
        timeout: Seconds for the connection and for each reply.
    """

    def stream() -> Stream:
        plain = host.connect(address, port, timeout)
        return plain if tls is None else open_tls(host.name, plain, tls)

    return connect_redis(host.name, stream, username=username, password=password, timeout=timeout)


def connect_redis(
    node: str,
    open_stream: Callable[[], Stream],
    *,
    username: str | None = None,
    password: Secret | None = None,
    timeout: float = 5.0,
) -> RedisClient:
    """The same over a stream of the caller's."""
    connection = StreamConnection(
        open_stream,
        username=username if password else None,
        password=password.reveal() if password else None,
        socket_timeout=timeout,
        protocol=2,
        driver_info=None,
        parser_class=PlainErrors,
        decode_responses=True,
        encoding_errors="surrogateescape",
    )
    try:
        connection.connect()  # type: ignore[no-untyped-call]
    except exceptions.RedisError as e:
        raise _translated(node, e) from e
    return RedisClient(node, connection)


def refused(node: str, error: exceptions.RedisError) -> ServerRefused:
    """The ServerRefused for a server's error reply."""
    # The server repeats a command's arguments, which may hold a password.
    said = str(error).partition(", with args beginning with")[0]
    reason = _reason(said)
    return ServerRefused(
        node, f"the server says: {said}", reason=reason, next_step=_NEXT_STEP.get(reason)
    )


def _reason(said: str) -> str:
    for text, reason in _BY_TEXT.items():
        if text in said:
            return reason
    return next(
        (reason for prefix, reason in _BY_PREFIX.items() if said.startswith(prefix)), "ServerError"
    )


def _own_errors(node: str, reply: Any) -> Any:
    """Error replies inside an EXEC's list, translated too."""
    if isinstance(reply, list):
        return [_own_errors(node, each) for each in reply]
    return refused(node, reply) if isinstance(reply, exceptions.RedisError) else reply


def _translated(node: str, error: exceptions.RedisError) -> RemoteError:
    match error:
        case exceptions.ResponseError():
            return refused(node, error)
        case exceptions.TimeoutError():
            return Unreachable(node, "the server did not answer in time", reason="ServerSilent")
        case _:
            return ConnectionLost(node, "the server closed the connection")
