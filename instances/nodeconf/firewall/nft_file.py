"""Edits of a nftables file (/etc/nftables.conf), line by line, everything else untouched.

The file is a script in nft's own syntax (nft(8)): blocks in braces, or flat commands as in ``add
rule inet filter input ...``, with comments, definitions and includes between. Only what tells one
statement and one block from the next is understood here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from instances.nodeconf.firewall.nft_ruleset import ChainKey

OWN_CHAIN = ChainKey("inet", "redoubt", "input")
_OWN_HEAD = (
    "table inet redoubt {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n"
)
_OWN_TAIL = "\t}\n}\n"

_TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|\\\n|[;{}\n]|[^\s;{}"#\\]+|\\')
_FAMILIES = frozenset({"ip", "ip6", "inet", "arp", "bridge", "netdev"})
_HEADERS = frozenset({"type", "policy", "comment", "flags", "device", "devices"})

Scope = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; text[start:stop] is it with its semicolon, if it has one."""

    scope: Scope
    words: tuple[str, ...]
    start: int
    stop: int

    @property
    def chain(self) -> ChainKey | None:
        """The chain that this rule goes to, or None where it is no rule."""
        if len(self.scope) == 3:
            return None if self.words[0] in _HEADERS - {"comment"} else ChainKey(*self.scope)
        if self.scope or self.words[1:2] != ("rule",):
            return None
        names = self.words[2:]
        names = names if names[0] in _FAMILIES else ("ip", *names)
        return ChainKey(*names[:3]) if len(names) > 3 else None

    @property
    def rule(self) -> str:
        """The rule itself, its spaces normalised."""
        if self.scope:
            return " ".join(self.words)
        return " ".join(self.words[5 if self.words[2] in _FAMILIES else 4 :])

    @property
    def comment(self) -> str:
        """The rule's comment, unquoted."""
        if len(self.words) > 2 and self.words[-2] == "comment":
            return self.words[-1].strip('"')
        return ""


@dataclass(slots=True)
class Block:
    """A chain's block. A flat one stands at the top: ``add chain inet filter input { ... }``."""

    chain: ChainKey
    flat: bool
    stop: int = 0
    statements: list[Statement] = field(default_factory=list)

    @property
    def headers(self) -> tuple[Statement, ...]:
        """The hook, policy and so on, which come before every rule."""
        return tuple(takewhile(lambda s: s.words[0] in _HEADERS, self.statements))

    @property
    def hook(self) -> str:
        """The hook of a base chain, or nothing."""
        words = [word for statement in self.headers for word in statement.words]
        return words[words.index("hook") + 1] if "hook" in words[:-1] else ""


class _Scanner:
    """Cuts a file into statements and chain blocks."""

    def __init__(self, text: str) -> None:
        self.statements: list[Statement] = []
        self.blocks: list[Block] = []
        self._open: list[tuple[Scope, Block | None]] = []
        self._words: list[str] = []
        self._start = self._end = self._depth = 0
        for token in _TOKEN.finditer(text):
            self._take(token[0], token.start(), token.end())
        self._finish(self._end)

    @property
    def _scope(self) -> Scope:
        return self._open[-1][0] if self._open else ()

    def _take(self, mark: str, start: int, end: int) -> None:
        if mark.startswith("#") or mark == "\\\n":
            return
        if mark == "{" and not self._depth and self._opens():
            return
        if mark == "}" and not self._depth:
            self._close(end)
        elif mark in {";", "\n"}:
            if not self._depth:
                self._finish(end if mark == ";" else self._end)
        else:
            self._depth += (mark == "{") - (mark == "}")
            self._add(mark, start, end)

    def _add(self, mark: str, start: int, end: int) -> None:
        if not self._words:
            self._start = start
        self._words.append(mark)
        self._end = end

    def _opens(self) -> bool:
        words = self._words[1:] if self._words[:1] in (["add"], ["create"]) else self._words
        scope = _scope_opened(words, self._scope)
        if scope is None:
            return False
        block = Block(ChainKey(*scope), flat=not self._scope) if len(scope) == 3 else None
        if block:
            self.blocks.append(block)
        self._open.append((scope, block))
        self._words = []
        return True

    def _close(self, end: int) -> None:
        self._finish(self._end)
        if self._open:
            _, block = self._open.pop()
            if block:
                block.stop = end

    def _finish(self, stop: int) -> None:
        if not self._words:
            return
        statement = Statement(self._scope, tuple(self._words), self._start, stop)
        self.statements.append(statement)
        if self._open and (block := self._open[-1][1]):
            block.statements.append(statement)
        self._words = []


def _scope_opened(words: Sequence[str], scope: Scope) -> Scope | None:
    match scope, list(words):
        case (), ["table", name]:
            return ("ip", name)
        case (), ["table", family, name]:
            return (family, name)
        case (), ["chain", table, name]:
            return ("ip", table, name)
        case (), ["chain", family, table, name]:
            return (family, table, name)
        case (_, _), ["chain", name]:
            return (*scope, name)
    return None


def statements(text: str) -> list[Statement]:
    """Return every statement of a file, in order."""
    return _Scanner(text).statements


def includes(text: str) -> tuple[str, ...]:
    """Return what the file includes, as written."""
    return tuple(s.words[1] for s in statements(text) if s.words[0] == "include" and s.words[1:])


def base_chains(text: str) -> frozenset[ChainKey]:
    """Return the base chains that the file makes."""
    return frozenset(block.chain for block in _Scanner(text).blocks if block.hook)


def tagged(text: str, tags: Iterable[str]) -> list[Statement]:
    """Return the rules whose comment is one of the tags."""
    wanted = frozenset(tags)
    return [s for s in statements(text) if s.comment in wanted and s.chain]


def insert(text: str, chain: ChainKey, rules: Sequence[str]) -> str | None:
    """Put rules, in this order, at the head of a base chain.

    Returns:
        The new text, or None where the file does not make that chain.
    """
    blocks = [b for b in _Scanner(text).blocks if b.chain == chain and b.hook]
    if not blocks:
        return None
    block = blocks[0]
    if block.flat:
        # Rules in the braces of an `add chain` command are dropped by nft without a word.
        flat = [f"insert rule {chain} {rule}" for rule in reversed(rules)]
        return _insert_lines(text, block.stop, _indent(text, block.stop), flat)
    position = block.headers[-1].stop
    rest = text[position : _line_end(text, position)].strip()
    if rest and not rest.startswith("#"):
        return text[:position] + "".join(f" {rule};" for rule in rules) + text[position:]
    return _insert_lines(text, position, _rule_indent(text, block), rules)


def remove(text: str, gone: Iterable[Statement]) -> str:
    """Take statements out: the whole line where nothing else stands on it."""
    for statement in sorted(gone, key=lambda s: s.start, reverse=True):
        start, stop = _extent(text, statement)
        text = text[:start] + text[stop:]
    return text


def append_own_table(text: str, rules: Sequence[str]) -> str:
    """Add the table of our own, for a node that has no chain to put a rule in."""
    block = _OWN_HEAD + "".join(f"\t\t{rule}\n" for rule in rules) + _OWN_TAIL
    # A file without a last newline ends without one again once the table is removed.
    return text + block if not text or text.endswith("\n") else f"{text}\n{block[:-1]}"


def remove_empty_own_table(text: str) -> str:
    """Remove the table of our own where no rule is left in it."""
    block = _OWN_HEAD + _OWN_TAIL
    if text.endswith("\n" + block[:-1]):
        return text.removesuffix("\n" + block[:-1])
    return text.replace(block, "", 1)


def _insert_lines(text: str, position: int, indent: str, lines: Sequence[str]) -> str:
    end = _line_end(text, position)
    added = "".join(f"\n{indent}{line}" for line in lines)
    return text[:end] + added + text[end:]


def _extent(text: str, statement: Statement) -> tuple[int, int]:
    line, end = text.rfind("\n", 0, statement.start) + 1, _line_end(text, statement.stop)
    alone = not text[line : statement.start].strip() and not text[statement.stop : end].strip()
    if not alone:
        spaced = text[statement.start - 1 : statement.start] == " "
        return statement.start - spaced, statement.stop
    # The newline before the line goes, not the one after: the line may be the file's last.
    return (line - 1, end) if line else (0, end + 1)


def _rule_indent(text: str, block: Block) -> str:
    header = block.headers[-1]
    line = text[text.rfind("\n", 0, header.start) + 1 : header.start]
    if not line.strip():
        return line
    later = block.statements[len(block.headers) :]
    return _indent(text, later[0].start) if later else re.match(r"\s*", line)[0] + "\t"  # type: ignore[index]


def _indent(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def lines_of(text: str, tags: Iterable[str]) -> Iterator[str]:
    """Yield the tagged rules with the chain each stands in."""
    for statement in tagged(text, tags):
        yield f"{statement.chain}: {statement.rule}"
