"""Who speaks plaintext to a server now, and how those connections are ended. No ORM in here."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from addons.session import NodeSession
from instances.nodeconf.client_list import (
    Client,
    Kind,
    Place,
    Socket,
    parse_clients,
    parse_sockets,
)
from instances.nodeconf.command import Command
from instances.reason import Reason
from instances.remote.errors import RemoteError, ServerRefused


@dataclass(frozen=True, slots=True)
class PlainConnection:
    """A client's connection to the plain port.

    Args:
        peer: The client's end, as the server sees it: behind a proxy, the proxy's.
        local: The server's end.
        number: The server's id of it; None where only the kernel told of it.
        name: As the client called itself (CLIENT SETNAME), often empty.
        user: Whom it is logged in as.
        age: Seconds since it came; None where only the kernel told of it.
        idle: Seconds since its last command; likewise.
        library: Name and version of the client's library, where they are told (7.2 on).
    """

    peer: Place
    local: Place
    kind: Kind = Kind.NORMAL
    number: int | None = None
    name: str = ""
    user: str = ""
    age: int | None = None
    idle: int | None = None
    library: str = ""


@dataclass(frozen=True, slots=True)
class PlainSample:
    """The plain port at one moment.

    Args:
        port: 0 where the server has none.
        connections: All there were but the panel's own. Unix sockets are no port, and the link to
            the server's own primary is on the primary's.
        nameless: Why the server tells no names, users and ages; None where it does.
    """

    port: int
    connections: tuple[PlainConnection, ...]
    nameless: Reason | None = None


def watches(connection: PlainConnection) -> bool:
    """Say whether it is a Sentinel's (redis 7.0.15 sentinel.c, sentinelSetClientName)."""
    return connection.name.startswith("sentinel-")


def plain_connections(session: NodeSession, port: int | None = None) -> list[PlainConnection]:
    """Return the connections on the server's plain port now.

    Args:
        session: The node.
        port: Another one, as that which was the plain port until a moment ago.
    """
    return list(plain_sample(session, port).connections)


def plain_sample(session: NodeSession, port: int | None = None) -> PlainSample:
    """Look who is on the plain port now: one round trip to the server, before 6.2 one more.

    CLIENT LIST does not tell TLS from plaintext, so the port does. After TLS has moved to the
    number that plaintext had, its leftover sessions look alike: note them before.

    Args:
        session: The node.
        port: Another one than the running server's plain port.

    Raises:
        RemoteError: Neither the server nor the kernel can be asked.
    """
    try:
        server = session.redis()
    except ServerRefused as refusal:
        if refusal.reason == "TlsOnly" and _listens_on_tls_alone(session):
            return PlainSample(0, ())
        raise
    asked = (("CONFIG", "GET", "port"), ("CLIENT", "ID"), ("CLIENT", "LIST"))
    told, own, listed = server.pipeline(asked)
    port = port or _port(told, session)
    if port == 0:
        return PlainSample(0, ())
    refused = next((each for each in (listed, own) if isinstance(each, ServerRefused)), None)
    if refused is not None:
        return _by_kernel(session, port, refused)
    clients = parse_clients(str(listed))
    if any(client.local is None for client in clients if client.number != int(own)):
        return PlainSample(port, _joined(_agreed(session, port, clients), clients, own))
    found = listed_on(str(listed), port)
    return PlainSample(port, tuple(each for each in found if each.number != int(own)))


def listed_on(listing: str, port: int) -> list[PlainConnection]:
    """Return who is on a port, from an answer to CLIENT LIST of 6.2 or later."""
    clients = ((client, client.local) for client in parse_clients(listing))
    return [_named(client, local) for client, local in clients if local and local.port == port]


def _listens_on_tls_alone(session: NodeSession) -> bool:
    server = session.server
    listening = {each.port for each in session.facts.listening if each.pid == server.pid}
    return listening == {server.tls_port}


def _port(told: Any, session: NodeSession) -> int:
    """Return the port of the running server; of its configuration where it may not be asked."""
    if isinstance(told, ServerRefused) or len(told) != 2:
        return session.server.port
    return int(told[1])


def _by_kernel(session: NodeSession, port: int, refused: ServerRefused) -> PlainSample:
    # The kernel does not tell the panel's own connection from others, so that ends first; by the
    # server's hand, for a tunnel's end may come late. Every user may ask for it (redis 7.0.15
    # src/acl.c, ACLSelectorCheckCmd: CMD_NO_AUTH).
    with suppress(RemoteError):
        session.redis().execute("QUIT")
    session.forget_server()
    found = tuple(PlainConnection(each.peer, each.local) for each in _sockets(session, {port}))
    why = (
        "The server does not say who its clients are, so they are known by the machine's socket "
        f"table alone, without name, user and age: {refused.message}."
    )
    return PlainSample(port, found, Reason(refused.reason, why, refused.next_step))


def _agreed(session: NodeSession, port: int, clients: Sequence[Client]) -> list[Socket]:
    """Return the server's ends of connections to a port, those of all its clients among them.

    The kernel does not give its table as of one moment: for a client that it left out it is asked
    once more. That one may have gone, too, or be the server's link to its primary.
    """
    ports = {port, session.server.port, session.server.tls_port} - {0}
    found = _sockets(session, ports)
    if {client.peer for client in clients} - {end.peer for end in found}:
        found = list(dict.fromkeys([*found, *_sockets(session, ports)]))
    return [each for each in found if each.local.port == port]


def _sockets(session: NodeSession, ports: Iterable[int]) -> list[Socket]:
    """Return the server's ends of connections, but those of another server on the same port."""
    wanted = " or ".join(f"sport = :{port}" for port in sorted(ports))
    query = ("ss", "-tnpH", "state", "established", f"( {wanted} )")
    others = {each.pid for each in session.facts.processes} - {session.server.pid}
    found = parse_sockets(session.host.run(Command(query)).text)
    return [each for each in found if not each.holders & others]


def _joined(
    sockets: Sequence[Socket], clients: Sequence[Client], own: int
) -> tuple[PlainConnection, ...]:
    """Give the kernel's connections what the server said of them a moment before.

    Args:
        own: The number of the panel's connection.
    """
    known = {client.peer: client for client in clients}
    found = ((each, known.get(each.peer)) for each in sockets)
    return tuple(
        _named(client, each.local) if client else PlainConnection(each.peer, each.local)
        for each, client in found
        if client is None or client.number != own
    )


def _named(client: Client, local: Place) -> PlainConnection:
    return PlainConnection(
        peer=client.peer,
        local=local,
        kind=client.kind,
        number=client.number,
        name=client.name,
        user=client.user,
        age=client.age,
        idle=client.idle,
        library=client.library,
    )


def end_connections(session: NodeSession, connections: Sequence[PlainConnection]) -> int:
    """End them, and return how many there still were to end.

    Raises:
        ServerRefused: The panel's user may not end any.
    """
    answers = session.redis().pipeline([_kill(each) for each in connections])
    refused = next((each for each in answers if isinstance(each, ServerRefused)), None)
    if refused is not None:
        raise refused
    return sum(int(answer) for answer in answers)


def _kill(connection: PlainConnection) -> tuple[str, ...]:
    if connection.number is None:
        return ("CLIENT", "KILL", "ADDR", str(connection.peer))
    # An address may have come back as somebody else's, a number does not.
    return ("CLIENT", "KILL", "ID", str(connection.number))
