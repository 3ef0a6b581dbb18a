"""Reading Ansible's INI inventories: hosts, groups of groups, variables, ranges. Pure.

The format is in Ansible's user guide, "How to build your inventory". Variables that say nothing of
how a host is reached are passed over.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

_SECTION = re.compile(r"\[([^\]:]+)(?::(vars|children))?\]\s*(?:#.*)?")
_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")
_REACH = ("host", "user", "port")
_READ = frozenset(f"ansible_{kind}{name}" for kind in ("", "ssh_") for name in _REACH)
_MOST = 1000


@dataclass(frozen=True, slots=True)
class AnsibleHost:
    """A host of an inventory.

    Args:
        mistake: Why the line cannot be read; empty where it can.
    """

    line: int
    alias: str
    variables: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    mistake: str = ""


def looks_like_ansible(lines: Sequence[str]) -> bool:
    """Say whether lines are an INI inventory: by a section, or by a variable of Ansible's."""
    return any(_SECTION.fullmatch(line) or re.search(r"\bansible_\w+=", line) for line in lines)


def ansible_hosts(text: str) -> list[AnsibleHost]:
    """Return the hosts in order, each once, with what its groups say of it."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith(("#", ";")):
            reader.read(number, stripped)
    return [reader.complete(host) for host in reader.hosts.values()] + reader.mistakes


class _Reader:
    """What was read so far."""

    def __init__(self) -> None:
        self.hosts: dict[str, AnsibleHost] = {}
        self.mistakes: list[AnsibleHost] = []
        self._section, self._part = "ungrouped", ""
        self._members: dict[str, list[str]] = {}
        self._parents: dict[str, list[str]] = {}
        self._said: dict[str, dict[str, str]] = {}

    def read(self, number: int, line: str) -> None:
        if section := _SECTION.fullmatch(line):
            self._section, self._part = section[1].strip(), section[2] or ""
        elif line.startswith("["):
            self._wrong(number, line, "This is no section: write [group], [group:vars] and so on.")
        elif self._part == "vars":
            name, _, value = line.partition("=")
            self._said.setdefault(self._section, {})[name.strip()] = value.strip().strip("\"'")
        elif self._part == "children":
            self._parents.setdefault(line.split(maxsplit=1)[0], []).append(self._section)
        else:
            self._host(number, line)

    def _host(self, number: int, line: str) -> None:
        try:
            pattern, *words = shlex.split(line, comments=True)
        except ValueError as error:
            # The line is not repeated: it may hold a password.
            self._wrong(number, line.split(maxsplit=1)[0], f"This line cannot be read: {error}.")
            return
        variables = {
            name: value
            for name, equals, value in (word.partition("=") for word in words)
            if equals and name in _READ
        }
        bare = [word for word in words if "=" not in word]
        if bare:
            self._wrong(number, pattern, f"“{bare[0]}” is no variable: write name=value.")
            return
        pattern, port = _without_port(pattern)
        if port:
            variables.setdefault("ansible_port", port)
        for alias in expanded(pattern):
            known = self.hosts.get(alias) or AnsibleHost(number, alias)
            self.hosts[alias] = replace(known, variables={**known.variables, **variables})
            self._members.setdefault(alias, []).append(self._section)

    def _wrong(self, number: int, text: str, message: str) -> None:
        self.mistakes.append(AnsibleHost(number, text, mistake=message))

    def complete(self, host: AnsibleHost) -> AnsibleHost:
        """Return a host with its groups and what they say; the nearest word counts."""
        groups = list(self._above(self._members[host.alias]))
        said: dict[str, str] = {}
        for group in ("all", *reversed(groups)):
            said |= {k: v for k, v in self._said.get(group, {}).items() if k in _READ}
        said |= host.variables
        unclear = next((name for name, value in said.items() if "{{" in value), "")
        mistake = f"{unclear} is a template: write its value." if unclear else ""
        return replace(host, variables=said, groups=tuple(groups), mistake=mistake)

    def _above(self, groups: Sequence[str]) -> Iterator[str]:
        """Yield groups and the groups they are in, the nearest first, each once."""
        seen: set[str] = set()
        waiting = list(groups)
        while waiting:
            group = waiting.pop(0)
            if group not in seen:
                seen.add(group)
                yield group
                waiting += self._parents.get(group, [])


def _without_port(pattern: str) -> tuple[str, str]:
    """Split ``host:port``; an IPv6 address and a range keep their colons."""
    found = re.fullmatch(r"((?:[^:\[\]]|\[[^\]]*\])+):(\d+)", pattern)
    return (found[1], found[2]) if found else (pattern, "")


def expanded(pattern: str) -> list[str]:
    """Return what a pattern such as ``cache-[01:03].example`` stands for, at most 1000 names."""
    found = _RANGE.search(pattern)
    if not found:
        return [pattern]
    first, last, step = found[1], found[2], max(1, int(found[3] or 1))
    if first.isdecimal() and last.isdecimal():
        numbers = range(int(first), int(last) + 1, step)[:_MOST]
        parts = [str(number).zfill(len(first)) for number in numbers]
    elif len(first) == len(last) == 1:
        parts = [chr(code) for code in range(ord(first), ord(last) + 1, step)]
    else:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [f"{before}{part}{rest}" for part in parts for rest in expanded(after)][:_MOST]
