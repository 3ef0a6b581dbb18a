"""Change a redis.conf as little as possible."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from instances.nodeconf.conf_baseline import Baseline, Record, Slot, checksum, digest
from instances.nodeconf.conf_file import CUMULATIVE, ConfigFile, Line, canonical, terminated
from instances.nodeconf.conf_grammar import ConfigSyntaxError, split_arguments, to_bytes
from instances.nodeconf.conf_tree import CommandLine, ConfigTree, Setting, Source, effective

ANCHOR = ("tls-port", "port", "bind")
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
_MAIN = "\0main"
_START = -1


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited file.

    Args:
        baseline: What stood there before; see `conf_baseline`. Holds secrets as they are.
        without_effect: Directives whose line in this file does not count, because the command line
            or (where the directive should be absent) an include sets them too; with where they do.
    """

    content: bytes
    baseline: Baseline
    without_effect: Mapping[str, Source] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.baseline["directives"])


@dataclass
class _Changes:
    replaced: dict[int, Line] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    inserted: dict[int, list[tuple[str, Line]]] = field(default_factory=dict)
    """By the index of the line that they follow."""


def edit(
    content: bytes,
    wanted: Mapping[str, str | None],
    *,
    anchor: Sequence[str] = ANCHOR,
    includes: Mapping[str, bytes] = _NOTHING,
    command_line: CommandLine = (),
) -> Edit:
    """Make a configuration file say what is wanted.

    The last active line of a directive is changed in place; earlier ones stay: they do not count.
    An absent directive goes below the last active anchor, and below any include that sets it.

    Args:
        content: The file as it is.
        wanted: Directive to its arguments as they are to stand there (see `quote_argument`), or
            None for a directive that must not stand there. Order is kept for new lines.
        anchor: Directives beside which new lines go; the end of the file where none is active.
        includes: Contents of the included files by path, to know what they set.
        command_line: Options of the server's command line, which win over the file.

    Raises:
        ValueError: For a cumulative directive, or arguments that do not fit one line.
    """
    file = ConfigFile.parse(content)
    tree = effective(_MAIN, {**includes, _MAIN: content}, command_line)
    changes = _Changes()
    place = max((i for name in anchor for i in file.active(name)), default=len(file.lines) - 1)
    for name, arguments in wanted.items():
        _check(name, arguments)
        _change(changes, file, _last_include(tree, name), place, (name, arguments))
    lines, record = _assemble(file, changes)
    edited = lines.render()
    record = replace(record, original=checksum(content), edited=checksum(edited))
    return Edit(edited, record.to_json(), without_effect(tree, wanted))


def _check(name: str, arguments: str | None) -> None:
    if canonical(name) in CUMULATIVE:
        raise ValueError(f"{name} is cumulative: it has no single line to edit")
    try:
        if arguments is not None and ("\n" in arguments or not split_arguments(arguments)):
            raise ValueError(f"{name} needs arguments on one line")
    except ConfigSyntaxError as error:
        raise ValueError(f"{name}: {error.problem}") from error


def _change(
    changes: _Changes,
    file: ConfigFile,
    include: Setting | None,
    place: int,
    wish: tuple[str, str | None],
) -> None:
    name, arguments = wish
    active = file.active(name)
    floor = include.via - 1 if include else _START
    if arguments is None:
        changes.removed.update(active)
    elif active and active[-1] > floor:
        line = file.lines[active[-1]]
        if not _says(line, arguments):
            changes.replaced[active[-1]] = _with_arguments(line, arguments)
    elif include is None or list(include.arguments) != split_arguments(arguments):
        at = max(place, floor)
        line = Line(to_bytes(f"{name} {arguments}"), _ending(file, at))
        changes.inserted.setdefault(at, []).append((canonical(name), line))


def _last_include(tree: ConfigTree, name: str) -> Setting | None:
    found = [s for s in tree.settings if s.name == canonical(name) and s.source.file]
    return next((s for s in reversed(found) if s.source.file != _MAIN), None)


def _says(line: Line, arguments: str) -> bool:
    try:
        return list(line.arguments()) == split_arguments(arguments)
    except ConfigSyntaxError:
        return False


def _with_arguments(line: Line, arguments: str) -> Line:
    """Keep indentation, the directive as it is spelled, and the white space after it."""
    value = line.body.lstrip(b" \t\r")
    start = len(line.body) - len(value)
    word = value.split(None, 1)[0]
    gap = value[len(word) :]
    gap = gap[: len(gap) - len(gap.lstrip(b" \t"))] or b" "
    return Line(line.body[:start] + word + gap + to_bytes(arguments), line.ending)


def _ending(file: ConfigFile, at: int) -> bytes:
    return (file.lines[at].ending if at >= 0 else b"") or file.ending


def _assemble(file: ConfigFile, changes: _Changes) -> tuple[ConfigFile, Record]:
    lines: list[Line] = []
    slots: list[Slot] = []

    def insert(at: int) -> None:
        for name, line in changes.inserted.get(at, []):
            slots.append(Slot(name, None, line, line_after=len(lines)))
            lines.append(line)

    done = 0
    for index in sorted({*changes.inserted, *changes.removed, *changes.replaced}):
        if index != _START:
            lines += file.lines[done:index]
            line, done = file.lines[index], index + 1
            after = None if index in changes.removed else changes.replaced.get(index, line)
            if after is not line:
                previous = digest(file.lines[index - 1]) if index else ""
                slots.append(Slot(line.name or "", line, after, index, len(lines), previous))
            lines += [after] if after else []
        insert(index)
    lines += file.lines[done:]
    return _terminated(file, lines, slots)


def _terminated(
    file: ConfigFile, lines: list[Line], slots: list[Slot]
) -> tuple[ConfigFile, Record]:
    """Give a last line without an ending one, where lines now follow it."""
    for index, line in enumerate(lines[:-1]):
        if not line.ending:
            lines[index] = terminated(line, file.ending)
            return ConfigFile(tuple(lines)), Record(tuple(slots), digest(file.lines[-1]))
    return ConfigFile(tuple(lines)), Record(tuple(slots))


def without_effect(tree: ConfigTree, wanted: Mapping[str, str | None]) -> dict[str, Source]:
    """Return the directives that are set elsewhere and win over the main file, with where."""
    return dict(_elsewhere(tree, wanted))


def _elsewhere(tree: ConfigTree, wanted: Mapping[str, str | None]) -> Iterable[tuple[str, Source]]:
    for name, arguments in wanted.items():
        setting = tree.last(name)
        if setting is None or setting.source.file == tree.main:
            continue
        by_include = bool(setting.source.file)
        if (by_include and arguments is None) or not by_include:
            yield name, setting.source
