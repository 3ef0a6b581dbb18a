"""Which of an operator's own changes a setting can express, so that it may become wanted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from addons.encryption.spec import AUTH_CLIENTS
from instances.nodeconf.redis_conf import ConfigSyntaxError, split_arguments

_PLACES = frozenset({"configuration", "runtime", "restart"})
_ASKED_AS = {value: ours for ours, value in AUTH_CLIENTS.items()}


def acceptable(drift: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the settings by which what was found would be wanted; empty where there are none.

    File and running server may have been changed to different values: then neither is taken.

    Args:
        drift: As `addons.engine.drift` has it.
    """
    found: dict[str, set[str]] = {}
    for name, value in _directives(drift):
        if name == "tls-port" and value.isdecimal() and 0 < int(value) < 65536:
            found.setdefault("tls_port", set()).add(value)
        elif name == "port" and value.isdecimal():
            found.setdefault("plaintext", set()).add("off" if value == "0" else "keep")
        elif name == "tls-auth-clients" and value in _ASKED_AS:
            found.setdefault("tls_auth_clients", set()).add(_ASKED_AS[value])
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def _directives(drift: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """Return the directives that were found other than wanted, with their values."""
    for change in drift:
        for line in change["lines"] if change["step"] in _PLACES else ():
            words = _words(line["text"]) if line["kind"] == "del" else []
            if len(words) == 2:
                yield words[0].lower(), words[1].lower()


def _words(text: str) -> list[str]:
    try:
        return split_arguments(text)
    except ConfigSyntaxError:
        return []
