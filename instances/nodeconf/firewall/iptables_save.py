"""The format of ``iptables-save``, in force or in a file: iptables-save(8), iptables-restore(8)."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_TABLE = re.compile(r"\*(\S+)\s*$")
_POLICY = re.compile(r":(\S+)\s+(\S+)")
_RULE = re.compile(r"(?:\[\d+:\d+\]\s+)?(-[AI]\s.*)$")
_FLAGS = frozenset({"-f", "--fragment", "--syn", "--random"})
_LONG = {
    "--append": "-A",
    "--insert": "-I",
    "--source": "-s",
    "--src": "-s",
    "--destination": "-d",
    "--protocol": "-p",
    "--jump": "-j",
    "--goto": "-g",
    "--match": "-m",
    "--in-interface": "-i",
    "--destination-port": "--dport",
    "--source-port": "--sport",
}


@dataclass(frozen=True, slots=True)
class SavedRule:
    """One ``-A`` line of the filter table.

    Args:
        line: Its number in the text, from 0.
        spec: The line as it stands, without counters.
        options: What it says, the short names for the long; an inverted one's value begins
            with "! ".
    """

    line: int
    spec: str
    options: tuple[tuple[str, str], ...]

    def get(self, option: str) -> str:
        """Return an option's value, or nothing."""
        return next((value for name, value in self.options if name == option), "")

    @property
    def chain(self) -> str:
        """The chain it stands in."""
        return self.get("-A") or self.get("-I").split()[0]

    @property
    def comment(self) -> str:
        """Its comment, unquoted."""
        return self.get("--comment")

    @property
    def shape(self) -> frozenset[tuple[str, str]]:
        """What it matches and does, however it is written."""
        return frozenset((n, _plain(n, v)) for n, v in self.options if n not in {"-m", "-A", "-I"})

    @property
    def established_accept(self) -> bool:
        """Whether it lets every packet of an established connection pass."""
        states = self.get("--ctstate") or self.get("--state")
        names = {name for name, _ in self.options} - {"--comment"}
        only = names <= {"-A", "-m", "-j", "--ctstate", "--state"}
        return only and self.get("-j") == "ACCEPT" and "ESTABLISHED" in states.split(",")

    def may_match(self, port: int) -> bool:
        """Whether a TCP packet to this port can get through its conditions."""
        protocol, wanted = self.get("-p"), self.get("--dport")
        if protocol and protocol not in {"tcp", "6", "all"} and not protocol.startswith("!"):
            return False
        if not wanted.replace(":", "").isdigit():
            return True
        first, _, last = wanted.partition(":")
        return int(first or 0) <= port <= int(last or (65535 if ":" in wanted else first))


@dataclass(frozen=True, slots=True)
class FilterTable:
    """The filter table of one IP version.

    Args:
        start: The line of ``*filter``; None where there is none.
        policies: Every chain; "-" for one that is not built in.
    """

    start: int | None
    header: int
    commit: int
    policies: Mapping[str, str]
    rules: tuple[SavedRule, ...]

    def blocks(self, chain: str, port: int, seen: frozenset[str] = frozenset()) -> bool:
        """Whether the chain, or one it jumps to, can drop or reject a packet to the port."""
        if chain in seen:
            return False
        if self.policies.get(chain) in {"DROP", "REJECT"}:
            return True
        for rule in self.rules:
            target = rule.get("-j") or rule.get("-g")
            if rule.chain != chain or not rule.may_match(port):
                continue
            if target in {"DROP", "REJECT"} or self.blocks(target, port, seen | {chain}):
                return True
        return False

    def lets_replies_out(self) -> bool:
        """Whether established connections are accepted in OUTPUT itself."""
        return any(rule.chain == "OUTPUT" and rule.established_accept for rule in self.rules)

    def tagged(self, tags: Iterable[str]) -> list[SavedRule]:
        """Return the rules whose comment is one of the tags."""
        wanted = frozenset(tags)
        return [rule for rule in self.rules if rule.comment in wanted]


def read_filter(text: str) -> FilterTable:
    """Find the filter table in the output of iptables-save, or in a file of that format."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip() == "*filter"), None)
    if start is None:
        return FilterTable(None, 0, 0, {}, ())
    commits = (i for i in range(start, len(lines)) if lines[i].strip() == "COMMIT")
    commit = next(commits, len(lines))
    policies: dict[str, str] = {}
    header = start
    for number in range(start, commit):
        if found := _POLICY.match(lines[number]):
            policies[found[1]], header = found[2], number
    rules = tuple(_rules(lines, start, commit))
    return FilterTable(start, header, commit, policies, rules)


def _rules(lines: Sequence[str], start: int, commit: int) -> Iterator[SavedRule]:
    for number in range(start, commit):
        if found := _RULE.match(lines[number].strip()):
            yield SavedRule(number, found[1], parse_spec(found[1]))


def parse_spec(spec: str) -> tuple[tuple[str, str], ...]:
    """Turn ``-A INPUT ! -i lo -p tcp --dport 6379 -j DROP`` into options with their values."""
    words = shlex.split(spec)
    found: list[tuple[str, str]] = []
    inverted = ""
    for word in words:
        if word == "!":
            inverted = "! "
        elif word.startswith("-"):
            found.append((_LONG.get(word, word), inverted))
            inverted = ""
        elif found and found[-1][0] not in _FLAGS:
            name, value = found[-1]
            found[-1] = (name, f"{value} {word}" if value.strip("! ") else value + word)
    return tuple(found)


def insert_lines(text: str, chain: str, added: Sequence[str]) -> str | None:
    """Put ``-A`` lines before the first rule of a chain.

    Returns:
        The new text, or None where the file has no such chain in its filter table.
    """
    table = read_filter(text)
    if table.start is None or chain not in table.policies:
        return None
    first = next((rule.line for rule in table.rules if rule.chain == chain), table.header + 1)
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:first], *(f"{line}\n" for line in added), *lines[first:]])


def remove_lines(text: str, gone: Iterable[SavedRule]) -> str:
    """Take rules out, each with its line."""
    numbers = {rule.line for rule in gone}
    lines = text.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines) if number not in numbers)


def _plain(name: str, value: str) -> str:
    if name in {"-s", "-d"}:
        return value.removesuffix("/128" if ":" in value else "/32")
    return value
