"""Put back what a baseline remembers, line by line, so that other people's edits survive."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from instances.nodeconf.conf_baseline import (
    Baseline,
    Record,
    Slot,
    checksum,
    digest,
    says_the_same,
)
from instances.nodeconf.conf_diff import mask_line
from instances.nodeconf.conf_file import ConfigFile, Line, terminated
from instances.nodeconf.conf_grammar import to_bytes

_NONE: Mapping[str, str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Restored:
    """A file without Redoubt's lines.

    Args:
        left: A sentence for each line that someone changed since, and that was therefore left.
    """

    content: bytes
    left: list[str]


@dataclass
class _Work:
    lines: list[Line | None]
    claimed: dict[int, Slot] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def restore(
    content: bytes, baseline: Baseline, *, accepted: Mapping[str, str | None] = _NONE
) -> Restored:
    """Undo one edit, or several whose baselines were merged.

    Gives the exact original bytes where nobody else edited the file. A line of ours that was
    changed or deleted since is left as it is; one that is only written differently is still ours.

    Args:
        content: The file as it is.
        baseline: Of the edit.
        accepted: Directives with arguments that are wanted by now, whoever wrote them there: such
            a line is ours too.
    """
    record = Record.from_json(baseline)
    file = ConfigFile.parse(content)
    work = _Work(list(file.lines))
    written = [slot for slot in record.slots if slot.after is not None]
    # Equal bytes first, so that no line is taken from the slot that it belongs to.
    moved = [slot for slot in written if not _claim(work, slot, _equal)]
    for slot in moved:
        wanted = _accepted(slot, accepted)
        if not _claim(work, slot, says_the_same) and not _claim(work, wanted, says_the_same):
            _leave_changed(work, slot)
    for index, slot in work.claimed.items():
        work.lines[index] = _back_in_place(work.lines[index], slot)
    lines = [line for line in work.lines if line is not None]
    _put_back_removed(lines, record, work, exact=record.edited == checksum(content))
    return Restored(_ended(lines, record, file.ending).render(), work.left)


def _accepted(slot: Slot, accepted: Mapping[str, str | None]) -> Slot:
    """Return the slot as if the edit had written what is wanted by now."""
    arguments = accepted.get(slot.name)
    return slot if arguments is None else replace(slot, after=_line(slot, arguments))


def _line(slot: Slot, arguments: str) -> Line:
    ending = slot.after.ending if slot.after else b"\n"
    return Line(to_bytes(f"{slot.name} {arguments}"), ending)


def _equal(one: Line | None, other: Line | None) -> bool:
    return one is not None and other is not None and one.body == other.body


def _claim(work: _Work, slot: Slot, alike: Callable[[Line | None, Line | None], bool]) -> bool:
    """Find the line that we wrote, nearest to where we wrote it."""
    found = [
        index
        for index, line in enumerate(work.lines)
        if index not in work.claimed and alike(line, slot.after)
    ]
    if found:
        work.claimed[min(found, key=lambda index: abs(index - slot.line_after))] = slot
    return bool(found)


def _back_in_place(line: Line | None, slot: Slot) -> Line | None:
    if slot.before is None or line is None or slot.after is None:
        return None
    same_ending = line.ending == slot.after.ending
    return Line(slot.before.body, slot.before.ending if same_ending else line.ending)


def _leave_changed(work: _Work, slot: Slot) -> None:
    ours = _quoted(slot.after)
    now = [n for n, line in enumerate(work.lines, 1) if line and line.name == slot.name]
    if now:
        text = _quoted(work.lines[now[-1] - 1])
        work.left.append(
            f"{slot.name}: line {now[-1]} now reads {text} where Redoubt wrote {ours}; "
            f"it was changed since and left as it is."
        )
    elif slot.before is not None:
        work.left.append(
            f"{slot.name}: the line {ours} that Redoubt wrote was removed since; "
            f"the original {_quoted(slot.before)} was not put back."
        )


def _put_back_removed(lines: list[Line], record: Record, work: _Work, *, exact: bool) -> None:
    set_by_others = {line.name for line in lines}
    removed = [slot for slot in record.slots if slot.before is not None and slot.after is None]
    for slot in sorted(removed, key=lambda slot: slot.line_before):
        if slot.before is None or slot.name in set_by_others:
            work.left.append(
                f"{slot.name}: someone has set it since; "
                f"the original {_quoted(slot.before)} was not put back."
            )
        else:
            lines.insert(slot.line_before if exact else _place(lines, slot), slot.before)


def _place(lines: list[Line], slot: Slot) -> int:
    """Return the old index, or where the line that stood above has moved to."""
    at = slot.line_before
    if at == 0 or (at <= len(lines) and digest(lines[at - 1]) == slot.previous):
        return at
    found = [index + 1 for index, line in enumerate(lines) if digest(line) == slot.previous]
    return min(found, key=lambda index: abs(index - at), default=min(at, len(lines)))


def _ended(lines: list[Line], record: Record, ending: bytes) -> ConfigFile:
    """Only the last line may lack an ending, and does where it did in the original."""
    all_but_last = [terminated(line, ending) for line in lines[:-1]]
    last = lines[-1:]
    if last and record.unterminated == digest(last[0]):
        last = [Line(last[0].body, b"")]
    return ConfigFile((*all_but_last, *last))


def _quoted(line: Line | None) -> str:
    text = line.body.decode(errors="replace").strip() if line else ""
    return f"“{mask_line(text)}”"
