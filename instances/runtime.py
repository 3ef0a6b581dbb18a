"""What the running server says of itself, in its own protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from instances.nodeconf.facts import ServerFacts
from instances.nodeconf.topology.asking import WATCHERS, questions, seen_of, sentinels_meet
from instances.nodeconf.topology.seen import Seen
from instances.reason import Reason
from instances.remote.errors import ServerRefused
from instances.remote.server import RedisClient

CONFIG_PATTERNS = (
    "tls-*",
    "bind",
    "port",
    "protected-mode",
    "save",
    "appendonly",
    "*-announce-*",
    "cluster-*",
)
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
        seen: What it says of the servers around it; None where it was not asked.
        open: Whether it answers clients that do not log in; None where it does not tell.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    config_refused: Reason | None = None
    role: str = ""
    clients: int = 0
    info: Mapping[str, str] = field(default_factory=dict)
    seen: Seen | None = None
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


def read_runtime(redis: RedisClient, server: ServerFacts) -> RuntimeFacts:
    """Ask the server, in one round trip; in two where Sentinels watch it.

    Args:
        server: Its facts: what it can be asked follows from them.

    Raises:
        ServerRefused: It wants a password, or protected mode denies, or it is loading.
    """
    settings = [("CONFIG", "GET", pattern) for pattern in CONFIG_PATTERNS]
    around = questions(server)
    told, default, *answers = redis.pipeline(
        [("INFO",), ("ACL", "GETUSER", "default"), *settings, *around]
    )
    if isinstance(told, Exception):
        raise told
    info = parse_info(_text(told))
    said, others = answers[: len(settings)], _answered(around, answers[len(settings) :])
    if sentinels_meet(others, info):
        others |= _answered((WATCHERS,), redis.pipeline([WATCHERS]))
    refused = next((answer for answer in said if isinstance(answer, ServerRefused)), None)
    config: dict[str, str] = {}
    for answer in said:
        if not isinstance(answer, Exception):
            config.update(_pairs(answer))
    return RuntimeFacts(
        config=config,
        config_refused=_reason(refused),
        role=info.get("role", ""),
        clients=max(0, int(info.get("connected_clients", "1")) - 1),
        info=info,
        seen=seen_of(server, info, config, others),
        open=_open(default),
    )


def _answered(
    asked: Sequence[tuple[str, ...]], answers: Sequence[Any]
) -> dict[tuple[str, ...], Any]:
    """Return answers by question; what was refused is left out."""
    pairs = zip(asked, answers, strict=True)
    return {question: answer for question, answer in pairs if not isinstance(answer, Exception)}


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
