"""A value that must not be seen: passwords, private keys."""

from typing import final


@final
class Secret:
    """Text whose ``repr`` and ``str`` are dots.

    Only `reveal` exposes the text, so that a secret that strays into a log line, an exception or a
    step record shows nothing.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Call it only where the value leaves for its destination."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(••••)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled: it would stand readable in a message or a cache")
