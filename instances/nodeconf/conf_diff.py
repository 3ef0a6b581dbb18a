"""What a preview shows of a configuration change: the lines, with secrets masked."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from instances.nodeconf.conf_file import ConfigFile, Line, lenient_arguments

MASK = "••••"
SECRET_DIRECTIVES = frozenset(
    {
        "requirepass",
        "masterauth",
        "primaryauth",
        "user",
        "tls-key-file-pass",
        "tls-client-key-file-pass",
        "rename-command",
    }
)
_SECRET_SENTINEL = frozenset({"auth-pass", "sentinel-pass", "rename-command"})
_CONTEXT = 2


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a preview; ``text`` has no ending and is fit for storing and showing."""

    kind: Literal["hunk", "context", "add", "del"]
    text: str


def mask_line(text: str) -> str:
    """Return the line with the value of a secret directive as dots, in comments too."""
    start = len(text) - len(text.lstrip(" \t\r\n#"))
    words = [word.lower() for word in lenient_arguments(text[start:])[:2]] or [""]
    if words[0] in SECRET_DIRECTIVES and len(words) > 1:
        return f"{text[:start]}{words[0]} {MASK}"
    if words[0] == "sentinel" and words[-1] in _SECRET_SENTINEL:
        return f"{text[:start]}sentinel {words[1]} {MASK}"
    return text


def diff(before: bytes, after: bytes, path: str) -> list[DiffLine]:
    """Compare two contents of a file, with two lines of context and secrets masked."""
    old, new = ConfigFile.parse(before).lines, ConfigFile.parse(after).lines
    # What both begin and end with is set aside: the matcher takes time by the square of the rest.
    first, old_end, new_end = _changed_part(old, new)
    old, new, skipped = old[first:old_end], new[first:new_end], first
    matcher = SequenceMatcher(None, [x.raw for x in old], [x.raw for x in new], autojunk=False)
    shown: list[DiffLine] = []
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = group[0], group[-1]
        old_from, old_to = old_from + skipped, old_to + skipped
        new_from, new_to = new_from + skipped, new_to + skipped
        spans = f"-{_span(old_from, old_to)} +{_span(new_from, new_to)}"
        shown.append(DiffLine("hunk", f"@@ {spans} @@ {path}"))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                shown += [DiffLine("context", _shown(line)) for line in old[i1:i2]]
            else:
                shown += [DiffLine("del", _shown(line)) for line in old[i1:i2]]
                shown += [DiffLine("add", _shown(line)) for line in new[j1:j2]]
    return shown


def _changed_part(old: Sequence[Line], new: Sequence[Line]) -> tuple[int, int, int]:
    """Return where the first difference begins and where the last ends in each, with context."""
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    head, tail = max(0, head - _CONTEXT), max(0, tail - _CONTEXT)
    return head, len(old) - tail, len(new) - tail


def _span(start: int, end: int) -> str:
    return f"{start + 1 if end > start else start},{end - start}"


def _shown(line: Line) -> str:
    text = mask_line(line.body.decode(errors="replace")).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if line.ending else text + " (no newline at the end of the file)"
