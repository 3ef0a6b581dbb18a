"""Opening a server from its own machine, through whichever of its ports takes a client now."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from instances.introduction import Introduction, Pair
from instances.nodeconf.facts import ServerFacts
from instances.remote.errors import (
    ConnectionLost,
    RemoteError,
    ServerRefused,
    TlsFailed,
    Unreachable,
)
from instances.remote.host import Host
from instances.remote.server import RedisClient, connect_redis, open_redis
from instances.remote.tls_stream import TlsClient, TlsStream, client_context
from instances.runtime import admin_address
from instances.secret import Secret

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class _Door:
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class _Caller:
    username: str
    password: Secret
    introduce: Introduction


def open_server(
    host: Host,
    server: ServerFacts,
    username: str,
    password: Secret,
    *,
    introduce: Introduction,
    runs_with: Mapping[str, str] | None = None,
    also: Sequence[int] = (),
) -> RedisClient:
    """Open a connection to the server, logged in: on its plain port, or over TLS if that is all.

    A configuration may be ahead of the running server, or behind it, where a change of its ports
    was interrupted: what it names is then tried in the other manner, and so are other ports.

    Args:
        host: The server's machine.
        server: Its facts.
        username: The ACL user; the default user where it is empty.
        password: Its password; empty for none.
        introduce: Makes a client certificate, asked where the server may want one.
        runs_with: The ports that the running server was last known to have, as CONFIG has them.
        also: Ports on which it may listen, besides those of its configuration.

    Raises:
        Unreachable: Nothing listens there.
        ServerRefused: The password is missing or wrong; TlsOnly where TLS cannot be used.
    """
    caller = _Caller(username, password, introduce)
    first: RemoteError | None = None
    closed: set[int] = set()
    for door in _doors(server, runs_with or {}, also):
        if door.port in closed:
            continue
        try:
            return _enter(host, server, door, caller)
        except (Unreachable, ConnectionLost, TlsFailed) as error:
            first = first or error
            if isinstance(error, Unreachable):
                if error.reason != "ConnectionRefused":
                    break
                closed.add(door.port)
    if isinstance(first, TlsFailed):
        raise _tls_only(host, first.message) from first
    raise first or Unreachable(host.name, "its configuration opens no port")


def _enter(host: Host, server: ServerFacts, door: _Door, caller: _Caller) -> RedisClient:
    if door.tls:
        return _open_over_tls(host, server, door.port, caller)
    client = open_redis(
        host,
        admin_address(server),
        door.port,
        username=caller.username or None,
        password=caller.password or None,
    )
    # A TLS port takes the connection too, and ends it at the first word.
    client.pipeline([("PING",)])
    return client


def _doors(
    server: ServerFacts, runs_with: Mapping[str, str], also: Sequence[int]
) -> Iterator[_Door]:
    """Yield the ways in: as the server was last known to run first, then as it is configured."""
    ports = {"port": server.port, "tls-port": server.tls_port}
    known = {name: int(runs_with.get(name) or 0) for name in ports}
    said = [_Door(on[name], name == "tls-port") for on in (known, ports) for name in on]
    crossed = [_Door(door.port, not door.tls) for door in said]
    unsaid = [_Door(port, tls) for tls in (True, False) for port in also]
    # A plain port goes before TLS: it needs no file and no second look.
    doors = dict.fromkeys(chain(said, crossed, unsaid))
    yield from (door for door in doors if door.port)


def _open_over_tls(host: Host, server: ServerFacts, port: int, caller: _Caller) -> RedisClient:
    """Open the TLS port; with a client certificate where the server demands one.

    Raises:
        TlsFailed: There is no session, or the server wants another client certificate.
        ServerRefused: A password would go to who does not serve that certificate.
    """
    asked = (server.tree.value("tls-auth-clients") or "yes").lower() == "yes"
    first: TlsFailed | ConnectionLost | None = None
    # The running server may ask for more than its file, or for less.
    for showing in (asked, not asked):
        pair = caller.introduce() if showing else None
        if showing and pair is None:
            continue
        try:
            return _over_tls(host, server, port, caller, pair)
        except (TlsFailed, ConnectionLost) as error:
            first = first or error
            if error.reason == "HandshakeTimeout":
                # Plaintext is spoken there: it waits for the end of a line.
                break
    raise first or TlsFailed(host.name, "the server rejected the panel")


def _over_tls(
    host: Host, server: ServerFacts, port: int, caller: _Caller, pair: Pair | None
) -> RedisClient:
    name = admin_address(server)
    context = client_context(host.name, TlsClient(name, ca_pem="", client=pair), verify=False)
    stream = TlsStream(host.name, host.connect(name, port, _TIMEOUT), context, name)
    try:
        stream.settimeout(_TIMEOUT)
        stream.handshake()
        if caller.password:
            _must_be_known(host, server, stream)
        client = connect_redis(
            host.name,
            lambda: stream,
            username=caller.username or None,
            password=caller.password or None,
        )
        # Under TLS 1.3 a missing client certificate shows at the first answer.
        client.pipeline([("PING",)])
    except BaseException:
        stream.close()
        raise
    return client


def _must_be_known(host: Host, server: ServerFacts, stream: TlsStream) -> None:
    """See that the certificate served is the one on file, or of an authority that is.

    Between a re-issue and its loading the server shows the one before.

    Raises:
        ServerRefused: It is neither: a password would go to whoever answers there.
    """
    on_file, authorities = _read(host, server, "tls-cert-file", "tls-ca-cert-file")
    served = x509.load_der_x509_certificate(stream.session.getpeercert(binary_form=True) or b"")
    if served in _certificates(on_file):
        return
    for authority in _certificates(authorities):
        with suppress(ValueError, TypeError, InvalidSignature):
            served.verify_directly_issued_by(authority)
            return
    raise _tls_only(host, "its certificate is not the one in tls-cert-file")


def _read(host: Host, server: ServerFacts, *directives: str) -> list[str]:
    """Read the files that the configuration names; empty where there is none."""
    paths = [server.tree.value(name) or "" for name in directives]
    known = [path for path in paths if path.startswith("/")]
    read = dict(zip(known, host.read_files(known), strict=True)) if known else {}
    found = (read.get(path) for path in paths)
    return [(each.content or b"").decode(errors="replace") if each else "" for each in found]


def _certificates(pem: str) -> list[x509.Certificate]:
    with suppress(ValueError):
        return x509.load_pem_x509_certificates(pem.encode())
    return []


def _tls_only(host: Host, why: str) -> ServerRefused:
    return ServerRefused(
        host.name,
        f"the server has no plain port, and cannot be asked over TLS: {why}",
        reason="TlsOnly",
        next_step="Give it a plain port on loopback, or set tls-auth-clients to optional.",
    )
