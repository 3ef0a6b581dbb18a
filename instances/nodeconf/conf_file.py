"""A redis.conf as its lines, kept byte for byte."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from instances.nodeconf.conf_grammar import ConfigSyntaxError, split_arguments, to_text

CUMULATIVE = frozenset(
    {"save", "user", "rename-command", "loadmodule", "include", "client-output-buffer-limit"}
)
"""Directives of which every line counts; of all others the last one wins (REDIS_FACTS 9)."""

# A first word without quotes ends at white space; `split_arguments` is for all others.
_PLAIN_WORD = re.compile(rb"[ \t\r]*([A-Za-z][A-Za-z0-9_-]*)(?=[ \t\r]|$)")

_ALIASES = {"slaveof": "replicaof", "primaryauth": "masterauth", "primaryuser": "masteruser"}


def canonical(name: str) -> str:
    """Return the one name of a directive: lower case, and Redis's where Valkey or old names differ.

    Source: the alias column of the configuration tables (redis 7.0.15 cfg:2925, Valkey 8 cfg:3112).
    """
    name = name.lower()
    if name.startswith("slave-"):
        return "replica-" + name.removeprefix("slave-")
    return _ALIASES.get(name, name)


def lenient_arguments(text: str) -> list[str]:
    """Split a line, and where it does not parse, at white space with the quotes gone."""
    try:
        return split_arguments(text)
    except ConfigSyntaxError:
        return [word.strip("\"'") for word in text.replace("\0", " ").split()]


@dataclass(frozen=True)
class Line:
    """One line: its body, and its ending (LF, CRLF, or nothing at the end of the file)."""

    body: bytes
    ending: bytes = b"\n"

    @property
    def raw(self) -> bytes:
        return self.body + self.ending

    @cached_property
    def text(self) -> str:
        return to_text(self.body)

    @property
    def is_active(self) -> bool:
        """Whether the server reads it: neither blank nor a comment."""
        trimmed = self.body.strip(b" \t\r\n")
        return bool(trimmed) and not trimmed.startswith(b"#")

    @cached_property
    def name(self) -> str | None:
        """The canonical directive, also of a line that does not parse; None for a comment."""
        plain = _PLAIN_WORD.match(self.body)
        if plain:
            return canonical(plain[1].decode("ascii"))
        words = lenient_arguments(self.text) if self.is_active else []
        return canonical(words[0]) if words else None

    def arguments(self, line_number: int = 0) -> tuple[str, ...]:
        """Return what follows the directive.

        Raises:
            ConfigSyntaxError: Where the server would refuse the line.
        """
        return tuple(split_arguments(self.text.strip(" \t\r\n"), line_number=line_number)[1:])


def terminated(line: Line, ending: bytes) -> Line:
    """Return the line with an ending, such that its body reads back the same."""
    if line.ending:
        return line
    return Line(line.body, b"\r\n" if line.body.endswith(b"\r") else ending)


@dataclass(frozen=True)
class ConfigFile:
    """The lines of one file; `render` gives back exactly what `parse` read."""

    lines: tuple[Line, ...]

    @staticmethod
    def parse(content: bytes) -> "ConfigFile":
        """Cut at LF, the only byte that ends a line for redis-server."""
        return _parse(content)

    def render(self) -> bytes:
        return b"".join(line.raw for line in self.lines)

    def active(self, name: str) -> list[int]:
        """Return the indexes (from 0) of the lines that set the directive."""
        return self._by_name.get(canonical(name), [])

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for index, line in enumerate(self.lines):
            if line.name is not None:
                found.setdefault(line.name, []).append(index)
        return found

    @property
    def ending(self) -> bytes:
        """The ending for new lines: that of the first line."""
        return (self.lines[0].ending if self.lines else b"") or b"\n"


# A run reads the same file in every step, and a fleet's files are mostly alike.
@lru_cache(maxsize=64)
def _parse(content: bytes) -> ConfigFile:
    chunks = content.split(b"\n")
    last = chunks.pop()
    lines = [_ended(chunk) for chunk in chunks]
    if last:
        lines.append(Line(last, b""))
    return ConfigFile(tuple(lines))


def _ended(chunk: bytes) -> Line:
    return Line(chunk[:-1], b"\r\n") if chunk.endswith(b"\r") else Line(chunk)
