"""What the running server says of itself, in its own protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instances.nodeconf.facts import ServerFacts
from instances.reason import Reason
from instances.remote.errors import ServerRefused
from instances.remote.host import Host
from instances.remote.server import RedisClient, open_redis
from instances.secret import Secret

CONFIG_PATTERNS = ("tls-*", "bind", "port", "protected-mode")


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """A running server.

    Args:
        config: Directive to value, of the directives that Redoubt manages; empty where refused.
        config_refused: Why CONFIG cannot be used (renamed, no permission), or None.
        role: ``master`` or ``slave`` as INFO says, shown as primary or replica.
        clients: Open client connections, the panel's own not counted.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    config_refused: Reason | None = None
    role: str = ""
    clients: int = 0
    info: Mapping[str, str] = field(default_factory=dict)


def admin_address(server: ServerFacts) -> str:
    """Return the address on which the server is spoken to from its own machine."""
    wildcards = {"*", "0.0.0.0", "::", "-::*"}  # noqa: S104 -- compared with, not bound to
    bound = [word.lstrip("-") for word in server.bind]
    if not bound or wildcards & set(bound) or "127.0.0.1" in bound:
        return "127.0.0.1"
    return "::1" if "::1" in bound else bound[0]


def open_server(host: Host, server: ServerFacts, username: str, password: Secret) -> RedisClient:
    """Open a connection to the server on its plain port, logged in.

    Raises:
        Unreachable: Nothing listens there.
        ServerRefused: The password is missing or wrong.
    """
    return open_redis(
        host,
        admin_address(server),
        server.port,
        username=username or None,
        password=password or None,
    )


def read_runtime(redis: RedisClient) -> RuntimeFacts:
    """Ask the server, in one round trip.

    Raises:
        ServerRefused: It wants a password, or protected mode denies, or it is loading.
    """
    asked = [("INFO",), *(("CONFIG", "GET", pattern) for pattern in CONFIG_PATTERNS)]
    answers = redis.pipeline(asked)
    if isinstance(answers[0], Exception):
        raise answers[0]
    info = parse_info(_text(answers[0]))
    refused = next((a for a in answers[1:] if isinstance(a, ServerRefused)), None)
    config: dict[str, str] = {}
    for answer in answers[1:]:
        if not isinstance(answer, Exception):
            config.update(_pairs(answer))
    return RuntimeFacts(
        config=config,
        config_refused=_reason(refused),
        role=info.get("role", ""),
        clients=max(0, int(info.get("connected_clients", "1")) - 1),
        info=info,
    )


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
