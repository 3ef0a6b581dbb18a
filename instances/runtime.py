"""What the running server says of itself, in its own protocol."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instances.nodeconf.facts import ServerFacts
from instances.reason import Reason
from instances.remote.errors import ServerRefused, TlsFailed
from instances.remote.host import Host
from instances.remote.server import RedisClient, connect_redis, open_redis
from instances.remote.tls_stream import TlsClient, TlsStream, client_context
from instances.secret import Secret

CONFIG_PATTERNS = ("tls-*", "bind", "port", "protected-mode")
_TIMEOUT = 5.0
_FORBIDDEN = {"NoPermission", "CommandRenamed"}

# Redis opens a socket of one family for each of these (redis 7.0.15 src/server.c, listenToPort).
_REACHED_AS = {
    "127.0.0.1": {"127.0.0.1", "localhost", "*", "0.0.0.0"},  # noqa: S104 -- compared with, not bound to
    "::1": {"::1", "::", "::*"},
}


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """A running server.

    Args:
        config: Directive to value, of the directives that Redoubt manages; empty where refused.
        config_refused: Why CONFIG cannot be used (renamed, no permission), or None.
        role: ``master`` or ``slave`` as INFO says, shown as primary or replica.
        clients: Open client connections, the panel's own not counted.
        open: Whether it answers clients that do not log in; None where it does not tell.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    config_refused: Reason | None = None
    role: str = ""
    clients: int = 0
    info: Mapping[str, str] = field(default_factory=dict)
    open: bool | None = None


def admin_address(server: ServerFacts) -> str:
    """Return the address on which the server is spoken to from its own machine."""
    certain = [word for word in server.bind if word and not word.startswith("-")]
    # Those with a minus may not be there. Loopback first: protected mode spares nothing else.
    bound = [*certain, *(word[1:] for word in server.bind if word.startswith("-"))]
    for address, words in _REACHED_AS.items():
        if words.intersection(bound):
            return address
    return bound[0] if bound else "127.0.0.1"


def open_server(host: Host, server: ServerFacts, username: str, password: Secret) -> RedisClient:
    """Open a connection to the server, logged in: on its plain port, or over TLS if that is all.

    Raises:
        Unreachable: Nothing listens there.
        ServerRefused: The password is missing or wrong; TlsOnly where TLS cannot be used.
    """
    if server.port == 0 and server.tls_port:
        try:
            return _open_over_tls(host, server, username, password)
        except TlsFailed as error:
            raise _tls_only(host, error.message) from error
    return open_redis(
        host,
        admin_address(server),
        server.port,
        username=username or None,
        password=password or None,
    )


def _open_over_tls(host: Host, server: ServerFacts, username: str, password: Secret) -> RedisClient:
    """Open the TLS port. Its authority may be anybody's, so the certificate on file is the proof.

    Raises:
        ServerRefused: A password would go to who does not serve that certificate.
    """
    name = admin_address(server)
    context = client_context(host.name, TlsClient(name, ca_pem=""), verify=False)
    stream = TlsStream(host.name, host.connect(name, server.tls_port, _TIMEOUT), context, name)
    try:
        stream.settimeout(_TIMEOUT)
        stream.handshake()
        if password and stream.session.getpeercert(binary_form=True) != _on_file(host, server):
            raise _tls_only(host, "its certificate is not the one in tls-cert-file")
        client = connect_redis(
            host.name, lambda: stream, username=username or None, password=password or None
        )
        # Under TLS 1.3 a missing client certificate shows at the first answer.
        client.pipeline([("PING",)])
    except BaseException:
        stream.close()
        raise
    return client


def _on_file(host: Host, server: ServerFacts) -> bytes | None:
    """Return the certificate, in DER, that the configuration names; None where there is none."""
    path = server.tree.value("tls-cert-file") or ""
    if not path.startswith("/"):
        return None
    pem = (host.read_files([path])[0].content or b"").decode(errors="replace")
    begin, end = ssl.PEM_HEADER, ssl.PEM_FOOTER
    body = pem.partition(begin)[2].partition(end)[0]
    try:
        return ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}") if body else None
    except ValueError:
        return None


def _tls_only(host: Host, why: str) -> ServerRefused:
    return ServerRefused(
        host.name,
        f"the server has no plain port, and cannot be asked over TLS: {why}",
        reason="TlsOnly",
        next_step="Give it a plain port on loopback, or set tls-auth-clients to optional.",
    )


def read_runtime(redis: RedisClient) -> RuntimeFacts:
    """Ask the server, in one round trip.

    Raises:
        ServerRefused: It wants a password, or protected mode denies, or it is loading.
    """
    asked = [("CONFIG", "GET", pattern) for pattern in CONFIG_PATTERNS]
    told, default, *answers = redis.pipeline([("INFO",), ("ACL", "GETUSER", "default"), *asked])
    if isinstance(told, Exception):
        raise told
    info = parse_info(_text(told))
    refused = next((answer for answer in answers if isinstance(answer, ServerRefused)), None)
    config: dict[str, str] = {}
    for answer in answers:
        if not isinstance(answer, Exception):
            config.update(_pairs(answer))
    return RuntimeFacts(
        config=config,
        config_refused=_reason(refused),
        role=info.get("role", ""),
        clients=max(0, int(info.get("connected_clients", "1")) - 1),
        info=info,
        open=_open(default),
    )


def config_set_refused(redis: RedisClient) -> Reason | None:
    """Say why CONFIG SET cannot be used, or None: who may read settings need not be able to set.

    Asked with a directive that no server knows, so nothing is set. Rights are looked at first
    (redis 7.0.15 src/server.c, processCommand).
    """
    answer = redis.pipeline([("CONFIG", "SET", "redoubt-asks", "nothing")])[0]
    may_not = isinstance(answer, ServerRefused) and answer.reason in _FORBIDDEN
    return _reason(answer) if may_not else None


def _open(default: Any) -> bool | None:
    """Judge the default user: whoever does not log in is that (redis 7.0.15 src/acl.c)."""
    if isinstance(default, Exception) or not isinstance(default, list):
        return None
    flags = {_text(flag) for flag in dict(zip(default[::2], default[1::2], strict=True))["flags"]}
    return {"on", "nopass"} <= flags


def _reason(refused: ServerRefused | None) -> Reason | None:
    return Reason(refused.reason, refused.message, refused.next_step) if refused else None


def parse_info(text: str) -> dict[str, str]:
    """Return the fields of INFO."""
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in lines if colon}


def _pairs(answer: Any) -> dict[str, str]:
    words = [_text(word) for word in answer]
    return dict(zip(words[::2], words[1::2], strict=True))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
