"""ufw: a command a rule, at the head of its list; ufw keeps them itself.

The comment carries the tag, and ``ufw show added`` lists each rule in the words that delete it. Two
habits of ufw 0.36, seen on Debian 11 and 12, shape the plans:

* Adding a rule that matches the same packets as one that exists, whatever the action, says
  "Skipping inserting existing rule" and exits with 0. So where an operator's own rule has the same
  match, ours names every source port, 1:65535: another rule to ufw, the same packets to the kernel.
* Its own chains accept loopback and established connections before any of these rules, and its
  output chain lets replies out: there is nothing to add for either.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instances.nodeconf.command import Command, Result
from instances.nodeconf.firewall.rules import (
    FirewallChange,
    FirewallTexts,
    Match,
    Reason,
    Rule,
    Version,
    matches,
    reason_for,
)

_ANY = frozenset(range(256))
_ALL_SOURCE_PORTS = "1:65535"
# ufw takes 0.0.0.0/0 for the anywhere of both families.
_HALVES = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}
_ACTIONS = {"accept": "allow", "drop": "deny"}


@dataclass(frozen=True, slots=True)
class Added:
    """A rule that ufw keeps: its words without "ufw", and the comment among them."""

    words: tuple[str, ...]
    comment: str

    @property
    def action(self) -> str:
        """What it does, as in allow, deny, reject or limit."""
        return self.words[0]

    @property
    def match(self) -> tuple[str, ...]:
        """What it matches, written as `_match` writes it."""
        words = list(self.words[1:-2] if self.comment else self.words[1:])
        words = [word for word in words if word not in {"in", "log", "log-all"}]
        if len(words) == 1:
            port, _, protocol = words[0].partition("/")
            words = ["from", "any", "to", "any", "port", port]
            words += ["proto", protocol] if protocol else []
        elif words[:1] == ["to"]:
            words = ["from", "any", *words]
        return tuple(words)


class Ufw:
    """Plans for nodes that are guarded by ufw."""

    name = "ufw"

    def read_commands(self) -> tuple[Command, ...]:
        return (
            Command(("ufw", "status", "verbose")),
            Command(("ufw", "show", "added")),
            Command(("grep", "^IPV6=", "/etc/default/ufw"), ok=_ANY),
        )

    def parse(self, results: Sequence[Result]) -> FirewallTexts:
        status, added, ipv6 = (result.text for result in results)
        return FirewallTexts(ufw_status=status, ufw_added=added, ufw_ipv6=ipv6)

    def tags(self, facts: FirewallTexts, prefix: str) -> frozenset[str]:
        comments = (rule.comment for rule in _read(facts))
        return frozenset(c for c in comments if c and c.startswith(prefix))

    def present(self, facts: FirewallTexts, tag: str) -> tuple[str, ...]:
        return tuple(shlex.join(["ufw", *r.words]) for r in _read(facts) if r.comment == tag)

    def satisfied(self, facts: FirewallTexts, wanted: Sequence[Rule], tag_prefix: str) -> Reason:
        return reason_for(self.plan(facts, wanted, self.tags(facts, tag_prefix)))

    def plan(
        self, facts: FirewallTexts, wanted: Sequence[Rule], tags: Iterable[str] = ()
    ) -> FirewallChange:
        added = _read(facts)
        owned = frozenset(tags) | {rule.tag for rule in wanted}
        needed = [rule for rule in wanted if _needed(facts, added, rule)]
        surplus = [rule for rule in added if rule.comment in owned]
        missing: list[tuple[str, ...]] = []
        for words in _wanted_words(needed, added, owned, facts):
            there = next((r for r in surplus if _same(r, words)), None)
            if there:
                surplus.remove(there)
            else:
                missing.append(words)
        return _change(surplus, missing, facts, wanted, needed)

    def remove(self, facts: FirewallTexts, tags: Iterable[str]) -> FirewallChange:
        return self.plan(facts, (), tags)


def _read(facts: FirewallTexts) -> list[Added]:
    found = []
    for line in facts.ufw_added.splitlines():
        try:
            first, *words = shlex.split(line)
        except ValueError:  # The headline has an apostrophe at times; a rule is always quoted.
            continue
        if first == "ufw" and words and words[0] != "route":
            comment = words[-1] if words[-2:-1] == ["comment"] else ""
            found.append(Added(tuple(words), comment))
    return found


def _active(facts: FirewallTexts) -> bool:
    return "Status: active" in facts.ufw_status


def _needed(facts: FirewallTexts, added: Sequence[Added], rule: Rule) -> bool:
    if not _active(facts) or rule.action == "drop":
        return _active(facts)
    return "allow (incoming)" not in facts.ufw_status or any(
        other.action in {"deny", "reject", "limit"} and _may_match(other, rule.port)
        for other in added
    )


def _may_match(rule: Added, port: int) -> bool:
    """Whether packets to a port can match. A list, a range or a profile's name may well."""
    if "out" in rule.words:
        return False
    words = rule.match
    ports = words[words.index("to") :] if "to" in words else ()
    named = ports[ports.index("port") + 1] if "port" in ports else ""
    return not named.isdigit() or int(named) == port


def _wanted_words(
    wanted: Sequence[Rule], added: Sequence[Added], owned: frozenset[str], facts: FirewallTexts
) -> list[tuple[str, ...]]:
    others = {rule.match for rule in added if rule.comment not in owned}
    versions: tuple[Version, ...] = (4,) if _without_ipv6(facts) else (4, 6)
    found = []
    for match in (m for rule in wanted for m in matches(rule, versions)):
        for source in _sources(match):
            words = _match(source, match.port, apart=False)
            if words in others:
                words = _match(source, match.port, apart=True)
            found.append((_ACTIONS[match.action], *words, "comment", match.tag))
    return found


def _sources(match: Match) -> tuple[str, ...]:
    if match.networks:
        return tuple(_plain(str(network)) for network in match.networks)
    # Where ufw leaves IPv6 alone, its anywhere is that of IPv4.
    return ("any",) if match.version is None else _HALVES[match.version]


def _match(source: str, port: int, *, apart: bool) -> tuple[str, ...]:
    sport = ("port", _ALL_SOURCE_PORTS) if apart else ()
    return ("from", source, *sport, "to", "any", "port", str(port), "proto", "tcp")


def _plain(network: str) -> str:
    return network.removesuffix("/128" if ":" in network else "/32")


def _same(rule: Added, words: Sequence[str]) -> bool:
    """Whether a kept rule is the wanted one, every source port named or not."""
    wanted = Added(tuple(words), words[-1])
    same = _without_source_ports(rule.match) == _without_source_ports(wanted.match)
    return same and (rule.action, rule.comment) == (wanted.action, wanted.comment)


def _without_source_ports(words: tuple[str, ...]) -> tuple[str, ...]:
    named = words[2:4] == ("port", _ALL_SOURCE_PORTS)
    return words[:2] + words[4:] if named else words


def _change(
    surplus: Sequence[Added],
    missing: Sequence[tuple[str, ...]],
    facts: FirewallTexts,
    wanted: Sequence[Rule],
    needed: Sequence[Rule],
) -> FirewallChange:
    deletes = tuple(Command(("ufw", "delete", *rule.words)) for rule in surplus)
    # Each goes to the head in turn: written backwards, they stand in the order wanted.
    adds = tuple(Command(("ufw", "prepend", *words)) for words in reversed(missing))
    clash = {rule.match for rule in surplus} & {Added(w, w[-1]).match for w in missing}
    return FirewallChange(
        # New ones first, so that the port is never closed between two commands.
        commands=deletes + adds if clash else adds + deletes,
        describe=(
            *(f"- {shlex.join(['ufw', *rule.words])}" for rule in surplus),
            *(f"+ {shlex.join(['ufw', *words])}" for words in missing),
        ),
        problems=tuple(_problems(facts, wanted)),
        notes=tuple(
            f"nothing blocks port {rule.port}"
            for rule in wanted
            if rule not in needed and rule.action == "accept"
        ),
    )


def _problems(facts: FirewallTexts, wanted: Sequence[Rule]) -> Iterable[str]:
    for rule in wanted:
        if rule.action == "drop" and not _active(facts):
            yield f"ufw is inactive, so it cannot close port {rule.port}: `ufw enable` first."
        sources = " ".join(rule.networks)
        if ":" in sources and _without_ipv6(facts):
            yield (
                f"/etc/default/ufw says IPV6=no, so port {rule.port} is not opened for {sources} "
                "over IPv6."
            )


def _without_ipv6(facts: FirewallTexts) -> bool:
    return "no" in facts.ufw_ipv6.lower()
