"""What stood in a redis.conf before Redoubt edited it, and how to put that back.

A baseline is JSON-able: per directive, one slot for each line that an edit replaced, removed or
inserted. ``before`` and ``after`` are that line then and now; ``line_before`` and ``line_after``
are indexes (from 0) in the original and in the edited file, so that nothing but the slots is needed
to get the exact original back. It holds lines as they are, secrets too: store it encrypted, never
show it.
"""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any

from instances.nodeconf.conf_diff import mask_line
from instances.nodeconf.conf_file import Line
from instances.nodeconf.conf_grammar import ConfigSyntaxError, to_text

Baseline = dict[str, Any]
"""``{"directives": {name: [slot, ...]}, "unterminated": digest or None, "original": sha256,
"edited": sha256}``; `EMPTY` where nothing was ever edited."""

EMPTY: Baseline = {"directives": {}, "unterminated": None, "original": "", "edited": ""}


@dataclass(frozen=True, slots=True)
class Slot:
    """One line then and now.

    Args:
        previous: Digest of the line above the original, to find its place in an edited file.
    """

    name: str
    before: Line | None
    after: Line | None
    line_before: int = 0
    line_after: int = 0
    previous: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A baseline in memory.

    Args:
        unterminated: Digest of the original's last line, where that had no ending and got one.
        original: SHA-256 of the file before.
        edited: SHA-256 of the file as we left it; empty where others edited in between, so that
            line numbers cannot be trusted.
    """

    slots: tuple[Slot, ...] = ()
    unterminated: str | None = None
    original: str = ""
    edited: str = ""

    def to_json(self) -> Baseline:
        directives: dict[str, list[dict[str, Any]]] = {}
        for slot in self.slots:
            directives.setdefault(slot.name, []).append(_slot_to_json(slot))
        return {
            "directives": directives,
            "unterminated": self.unterminated,
            "original": self.original,
            "edited": self.edited,
        }

    @classmethod
    def from_json(cls, baseline: Baseline) -> "Record":
        directives = baseline["directives"].items()
        slots = (_slot_from_json(name, slot) for name, slots in directives for slot in slots)
        ends = (baseline["unterminated"], baseline["original"], baseline["edited"])
        return cls(tuple(slots), *ends)


def digest(line: Line) -> str:
    """Recognise a line without keeping it; secrets are masked first, so they cannot be guessed."""
    return hashlib.sha256(mask_line(line.text).encode(errors="replace")).hexdigest()[:16]


def says_the_same(one: Line | None, other: Line | None) -> bool:
    """Say whether the server reads both alike: CONFIG REWRITE quotes and trims what it keeps."""
    if one is None or other is None or one.name is None or one.name != other.name:
        return False
    try:
        return one.arguments() == other.arguments()
    except ConfigSyntaxError:
        return False


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def merge_baselines(first: Baseline, later: Baseline) -> Baseline:
    """Return the baseline that leads from the later edit's file back to the first's original.

    Lines that the operator changed between the two edits, and the later edit replaced, lead back to
    the first original too.
    """
    if not first["edited"] and not first["directives"]:
        return later
    one, two = Record.from_json(first), Record.from_json(later)
    pairs = _pairs(one.slots, two.slots)
    paired = {id(slot) for pair in pairs for slot in pair}
    merged = [
        replace(a, after=b.after, line_after=b.line_after)
        for a, b in pairs
        if a.before is not None or b.after is not None
    ]
    merged += [_seen_after(a, two.slots) for a in one.slots if id(a) not in paired]
    merged += [_seen_before(b, one.slots) for b in two.slots if id(b) not in paired]
    kept = tuple(slot for slot in merged if slot.before != slot.after)
    edited = two.edited if one.edited == two.original else ""
    end = one.unterminated or _original_end(one, two)
    return Record(kept, end, one.original, edited).to_json()


def _pairs(first: tuple[Slot, ...], later: tuple[Slot, ...]) -> list[tuple[Slot, Slot]]:
    """Pair what the first edit wrote with what the later one found there."""
    pairs: list[tuple[Slot, Slot]] = []
    open_later = list(later)
    for slot in (s for s in first if s.after is not None):
        same = [b for b in open_later if b.name == slot.name]
        found = [b for b in same if b.before is not None and b.before.body == _body(slot.after)]
        found = found or [b for b in same if says_the_same(b.before, slot.after)]
        # The operator changed or deleted our line in between: the original is still the first's.
        found = found or [b for b in same if b.after is not None]
        if found:
            nearest = min(found, key=lambda b, at=slot.line_after: abs(b.line_before - at))  # type: ignore[misc]
            open_later.remove(nearest)
            pairs.append((slot, nearest))
    return pairs


def _body(line: Line | None) -> bytes | None:
    return line.body if line else None


def _seen_after(slot: Slot, later: tuple[Slot, ...]) -> Slot:
    """Move a first slot's line number through the later edit."""
    if slot.after is None:
        return slot
    gone = sum(s.before is not None and s.line_before < slot.line_after for s in later)
    return replace(slot, line_after=_skip(slot.line_after - gone, _afters(later)))


def _seen_before(slot: Slot, first: tuple[Slot, ...]) -> Slot:
    """Move a later slot's line number back through the first edit."""
    if slot.before is None:
        return slot
    new = sum(s.after is not None and s.line_after < slot.line_before for s in first)
    at = _skip(slot.line_before - new, _befores(first))
    above = next((s.before for s in first if s.before and s.line_before == at - 1), None)
    return replace(slot, line_before=at, previous=digest(above) if above else slot.previous)


def _befores(slots: tuple[Slot, ...]) -> list[int]:
    return sorted(s.line_before for s in slots if s.before is not None)


def _afters(slots: tuple[Slot, ...]) -> list[int]:
    return sorted(s.line_after for s in slots if s.after is not None)


def _skip(position: int, taken: list[int]) -> int:
    """Return the index of the ``position``-th line that is not among the taken indexes."""
    for index in taken:
        if index <= position:
            position += 1
    return position


def _original_end(one: Record, two: Record) -> str | None:
    for slot in one.slots:
        if slot.after and slot.before and digest(slot.after) == two.unterminated:
            return digest(slot.before)
    return two.unterminated


def _slot_to_json(slot: Slot) -> dict[str, Any]:
    return {
        "before": _line_to_json(slot.before),
        "after": _line_to_json(slot.after),
        "line_before": slot.line_before,
        "line_after": slot.line_after,
        "previous": slot.previous,
    }


def _slot_from_json(name: str, slot: dict[str, Any]) -> Slot:
    before, after = _line_from_json(slot["before"]), _line_from_json(slot["after"])
    return Slot(name, before, after, slot["line_before"], slot["line_after"], slot["previous"])


def _line_to_json(line: Line | None) -> str | dict[str, str] | None:
    """Use plain text where a PostgreSQL jsonb can hold it: no NUL and no lone surrogates."""
    if line is None:
        return None
    text = to_text(line.raw)
    if any(char == "\0" or "\udc80" <= char <= "\udcff" for char in text):
        return {"base64": base64.b64encode(line.raw).decode()}
    return text


def _line_from_json(value: str | dict[str, str] | None) -> Line | None:
    if value is None:
        return None
    raw = value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
    for ending in (b"\r\n", b"\n"):
        if raw.endswith(ending):
            return Line(raw.removesuffix(ending), ending)
    return Line(raw, b"")
