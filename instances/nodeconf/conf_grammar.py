"""The grammar of one redis.conf line, as ``sdssplitargs`` reads it.

Source: redis 7.0.15 src/sds.c:1083 (split), src/sds.c:1003 (repr); REDIS_FACTS section 9. Text is
UTF-8 with surrogateescape, so that any bytes survive the way there and back.
"""

import re

_SPACE = b" \t\n\v\f\r"
_TOKEN_END = b" \n\r\t"
_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_HEX = re.compile(rb"\\x([0-9a-fA-F]{2})")
_PLAIN = re.compile(rb"[^\x00-\x20\"'\x7f]+")


class ConfigSyntaxError(ValueError):
    """A line that redis-server would refuse.

    Args:
        line_number: Counted from 1; 0 where the text did not come from a file.
        line: The text, with secrets not masked: mask it before it is shown.
        problem: What is wrong with it.
    """

    def __init__(self, line_number: int, line: str, problem: str) -> None:
        super().__init__(line_number, problem)
        self.line_number = line_number
        self.line = line
        self.problem = problem

    def __str__(self) -> str:
        return f"line {self.line_number}: {self.problem}" if self.line_number else self.problem


def to_text(raw: bytes) -> str:
    """Decode any bytes so that `to_bytes` gives them back."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Undo `to_text`."""
    return text.encode("utf-8", "surrogateescape")


def split_arguments(line: str, *, line_number: int = 0) -> list[str]:
    """Split a line into a directive and its arguments.

    Args:
        line: One line, without or with its ending. A comment is not told apart here.
        line_number: Only for the error.

    Raises:
        ConfigSyntaxError: For a quote that is not closed, or closed in mid-word, or a NUL byte.
    """
    raw = to_bytes(line)
    try:
        return [to_text(token) for token in _tokens(raw)]
    except _QuoteError as problem:
        raise ConfigSyntaxError(line_number, line, str(problem)) from None


class _QuoteError(Exception):
    pass


def _tokens(raw: bytes) -> list[bytes]:
    if b"\0" in raw:
        raise _QuoteError("a NUL byte: redis-server drops the rest of the line")
    tokens: list[bytes] = []
    at = 0
    while True:
        while at < len(raw) and raw[at] in _SPACE:
            at += 1
        if at == len(raw):
            return tokens
        token, at = _token(raw, at)
        tokens.append(token)


def _token(raw: bytes, at: int) -> tuple[bytes, int]:
    token = bytearray()
    while at < len(raw) and raw[at] not in _TOKEN_END:
        if raw[at] in b"\"'":
            quoted, at = _quoted(raw, at)
            return bytes(token + quoted), at
        token.append(raw[at])
        at += 1
    return bytes(token), at


def _quoted(raw: bytes, at: int) -> tuple[bytes, int]:
    quote = raw[at]
    unescape = _double_escape if quote == ord('"') else _single_escape
    token = bytearray()
    at += 1
    while at < len(raw) and raw[at] != quote:
        byte, length = unescape(raw, at)
        token.append(byte)
        at += length
    if at >= len(raw):
        raise _QuoteError("a quote is not closed")
    if raw[at + 1 : at + 2].strip(_SPACE):
        raise _QuoteError("a closing quote must be followed by a space or the end of the line")
    return bytes(token), at + 1


def _double_escape(raw: bytes, at: int) -> tuple[int, int]:
    if raw[at] != ord("\\") or at + 1 == len(raw):
        return raw[at], 1
    if found := _HEX.match(raw, at):
        return int(found[1], 16), 4
    return _ESCAPES.get(raw[at + 1], raw[at + 1]), 2


def _single_escape(raw: bytes, at: int) -> tuple[int, int]:
    return (ord("'"), 2) if raw[at : at + 2] == b"\\'" else (raw[at], 1)


def quote_argument(value: str | int) -> str:
    """Return the argument as it may stand in redis.conf: bare where that is safe, else quoted."""
    raw = to_bytes(str(value))
    if _PLAIN.fullmatch(raw) and not raw.startswith(b"#"):
        return to_text(raw)
    return '"' + "".join(_escaped(char) for char in to_text(raw)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char < " " or char == "\x7f" or "\udc80" <= char <= "\udcff":
        return f"\\x{to_bytes(char)[0]:02x}"
    return char
