"""What a server reads at start: the main file, its includes in order, then the command line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from instances.nodeconf.conf_file import ConfigFile, canonical
from instances.nodeconf.conf_grammar import ConfigSyntaxError

MAX_DEPTH = 8
MAX_FILES = 500
CommandLine = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a setting stands; ``file`` is empty for the command line."""

    file: str
    line: int = 0

    @property
    def on_command_line(self) -> bool:
        return not self.file

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else "command line"


@dataclass(frozen=True, slots=True)
class Setting:
    """One active line or command-line option.

    Args:
        via: The line of the main file that it stands on, or through whose ``include`` it came
            (from 1; 0 for the command line).
    """

    name: str
    arguments: tuple[str, ...]
    source: Source
    via: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that redis-server would refuse at its next start."""

    source: Source
    message: str


@dataclass(frozen=True, slots=True)
class ConfigTree:
    """All settings in the order in which redis-server applies them."""

    main: str
    settings: tuple[Setting, ...]
    problems: tuple[Problem, ...] = ()

    def last(self, name: str) -> Setting | None:
        """Return the setting that wins."""
        name = canonical(name)
        return next((s for s in reversed(self.settings) if s.name == name), None)

    def value(self, name: str) -> str | None:
        """Return the arguments in force, joined with spaces; None where nothing sets them."""
        setting = self.last(name)
        return " ".join(setting.arguments) if setting else None

    def all(self, name: str) -> list[tuple[str, ...]]:
        """Return the arguments of every line of a cumulative directive, in order."""
        name = canonical(name)
        return [s.arguments for s in self.settings if s.name == name]

    def source(self, name: str) -> Source | None:
        """Return where the setting in force stands."""
        setting = self.last(name)
        return setting.source if setting else None


@dataclass
class _Reading:
    files: Mapping[str, bytes]
    directory: str
    settings: list[Setting] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def read(self, path: str, depth: int = 0, via: int = 0) -> None:
        self.count += 1
        for number, line in enumerate(ConfigFile.parse(self.files[path]).lines, 1):
            if line.name is None:
                continue
            source = Source(path, number)
            try:
                arguments = line.arguments(number)
            except ConfigSyntaxError as error:
                self.problems.append(Problem(source, error.problem))
                continue
            self._add(Setting(line.name, arguments, source, via or number), depth)

    def _add(self, setting: Setting, depth: int) -> None:
        self.settings.append(setting)
        if setting.name == "dir" and setting.arguments:
            # redis-server changes directory as it reads, so later relative includes follow it.
            self.directory = str(PurePosixPath(self.directory, setting.arguments[0]))
        if setting.name == "include":
            for pattern in setting.arguments:
                self._include(str(PurePosixPath(self.directory, pattern)), setting, depth)

    def _include(self, pattern: str, setting: Setting, depth: int) -> None:
        paths = list(included_paths(pattern, self.files))
        if depth >= MAX_DEPTH or self.count >= MAX_FILES:
            # A file that includes itself ends here too; redis-server would not start.
            self._problem(setting, f"includes are nested more than {MAX_DEPTH} deep")
        elif not paths and not is_glob(pattern):
            self._problem(setting, f"the included file {pattern} is missing")
        else:
            for path in paths:
                self.read(path, depth + 1, setting.via)

    def _problem(self, setting: Setting, message: str) -> None:
        self.problems.append(Problem(setting.source, message))


def is_glob(pattern: str) -> bool:
    """Say whether redis-server (>= 7.0) expands the include."""
    return any(char in pattern for char in "*?[")


def included_paths(pattern: str, known: Mapping[str, bytes]) -> Iterator[str]:
    """Return the known files that an include names, in the order of glob(3)."""
    if not is_glob(pattern):
        yield from [pattern] if pattern in known else []
        return
    wanted = PurePosixPath(pattern).parts
    for path in sorted(known):
        parts = PurePosixPath(path).parts
        if len(parts) == len(wanted) and all(map(_segment_matches, parts, wanted)):
            yield path


def _segment_matches(part: str, pattern: str) -> bool:
    hidden = part.startswith(".") and not pattern.startswith(".")
    return part == pattern or (not hidden and fnmatchcase(part, pattern))


def effective(
    main: str,
    files: Mapping[str, bytes],
    command_line: CommandLine = (),
    *,
    directory: str = "/",
) -> ConfigTree:
    """Read a configuration as redis-server does.

    Args:
        main: The path of the main file; a key of ``files``.
        files: Contents by path, as the includes name them.
        command_line: From `parse_command_line`.
        directory: Where the server starts; relative includes count from here.
    """
    reading = _Reading(files, directory)
    if main in files:
        reading.read(main)
    for name, arguments in command_line:
        setting = Setting(canonical(name), tuple(arguments), Source(""), 0)
        reading.settings.append(setting)
    return ConfigTree(main, tuple(reading.settings), tuple(reading.problems))


def parse_command_line(argv: Sequence[str]) -> tuple[str | None, list[tuple[str, list[str]]]]:
    """Split a redis-server command line into its file and its options.

    Args:
        argv: With the program at 0. The first argument is the file unless it starts with ``--``.

    Raises:
        ConfigSyntaxError: For a configuration that comes from standard input.
    """
    arguments = list(argv[1:])
    if "-" in arguments:
        raise ConfigSyntaxError(0, " ".join(argv), "the configuration is read from standard input")
    path = arguments.pop(0) if arguments and not arguments[0].startswith("-") else None
    options: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if argument.startswith("--"):
            # One word may hold name and value: redis-server joins the words before it splits them.
            name, *values = argument.removeprefix("--").split(None, 1) or [""]
            options.append((canonical(name), values))
        elif options:
            options[-1][1].append(argument)
    return path, options
