"""iptables: one ``iptables-restore --noflush`` an IP version, tagged lines in /etc/iptables.

A rule carries its tag as its comment and is deleted by the specification that iptables-save lists.
The files are those of Debian's iptables-persistent; they are edited as text, so that what other
programs (Docker, fail2ban) put in force only for now does not get into them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from instances.nodeconf.command import Command, Result
from instances.nodeconf.firewall import iptables_save as saved
from instances.nodeconf.firewall.iptables_save import FilterTable, SavedRule
from instances.nodeconf.firewall.rules import (
    FirewallChange,
    FirewallTexts,
    Match,
    Reason,
    Rule,
    Version,
    matches,
    reason_for,
    reply,
)

_ANY = frozenset(range(256))
PATH_V4 = "/etc/iptables/rules.v4"
PATH_V6 = "/etc/iptables/rules.v6"


@dataclass(frozen=True, slots=True)
class Family:
    """One IP version's programs, texts and file."""

    version: Version
    save: str
    restore: str
    path: str
    running: str | None
    file: bytes | None

    @property
    def table(self) -> FilterTable:
        """The filter table in force."""
        return saved.read_filter(self.running or "")

    @property
    def text(self) -> str:
        """The file, so that it becomes the same bytes again."""
        return (self.file or b"").decode(errors="surrogateescape")


def families(facts: FirewallTexts) -> tuple[Family, Family]:
    """Pair what belongs together."""
    four = ("iptables-save", "iptables-restore", PATH_V4)
    six = ("ip6tables-save", "ip6tables-restore", PATH_V6)
    return (
        Family(4, *four, facts.iptables_save, facts.rules_v4),
        Family(6, *six, facts.ip6tables_save, facts.rules_v6),
    )


class Iptables:
    """Plans for nodes whose rules are made with iptables, in either of its variants."""

    name = "iptables"

    def read_commands(self) -> tuple[Command, ...]:
        return (
            Command(("iptables-save",)),
            Command(("ip6tables-save",), ok=_ANY),
            Command(("cat", PATH_V4), ok=frozenset({0, 1})),
            Command(("cat", PATH_V6), ok=frozenset({0, 1})),
            Command(("systemctl", "is-enabled", "netfilter-persistent.service"), ok=_ANY),
        )

    def parse(self, results: Sequence[Result]) -> FirewallTexts:
        four, six, file_four, file_six, unit = results
        return FirewallTexts(
            iptables_save=four.text,
            ip6tables_save=six.text if six.code == 0 else None,
            rules_v4=file_four.stdout if file_four.code == 0 else None,
            rules_v6=file_six.stdout if file_six.code == 0 else None,
            persistence=unit.text.strip() or "not-found",
        )

    def tags(self, facts: FirewallTexts, prefix: str) -> frozenset[str]:
        tables = [t for f in families(facts) for t in (f.table, saved.read_filter(f.text))]
        comments = {rule.comment for table in tables for rule in table.rules}
        return frozenset(c for c in comments if c and c.startswith(prefix))

    def present(self, facts: FirewallTexts, tag: str) -> tuple[str, ...]:
        lines: list[str] = []
        for family in families(facts):
            in_file = saved.read_filter(family.text).tagged([tag])
            lines += [
                f"in force: IPv{family.version}: {r.spec}" for r in family.table.tagged([tag])
            ]
            lines += [f"{family.path}: {rule.spec}" for rule in in_file]
        return tuple(lines)

    def satisfied(self, facts: FirewallTexts, wanted: Sequence[Rule], tag_prefix: str) -> Reason:
        return reason_for(self.plan(facts, wanted, self.tags(facts, tag_prefix)))

    def plan(
        self, facts: FirewallTexts, wanted: Sequence[Rule], tags: Iterable[str] = ()
    ) -> FirewallChange:
        owned = frozenset(tags) | {rule.tag for rule in wanted}
        four, six = families(facts)
        first, second = (_change(family, facts, wanted, owned) for family in (four, six))
        return FirewallChange(
            checks=first.checks + second.checks,
            commands=first.commands + second.commands,
            files={**first.files, **second.files},
            describe=first.describe + second.describe,
            warnings=tuple(dict.fromkeys(first.warnings + second.warnings)),
            notes=tuple(_notes((four, six), wanted)),
        )

    def remove(self, facts: FirewallTexts, tags: Iterable[str]) -> FirewallChange:
        return self.plan(facts, (), tags)


def _specs(table: FilterTable, rule: Rule, version: Version) -> list[str]:
    """Return the ``-A`` lines that a rule needs in one IP version."""
    found = [render(match) for match in matches(rule, [version])]
    if rule.action == "drop":
        return [spec for lines in found for spec in lines]
    if not table.blocks("INPUT", rule.port):
        return []
    specs = [spec for lines in found for spec in lines]
    if specs and table.blocks("OUTPUT", rule.port) and not table.lets_replies_out():
        specs += render(reply(rule, [version]))
    return specs


def render(match: Match) -> list[str]:
    """Write a rule as iptables-save does: a line a network."""
    end = f'-m comment --comment "{match.tag}" -j {match.action.upper()}'
    if match.reply:
        state = "-m conntrack --ctstate ESTABLISHED"
        return [f"-A OUTPUT -p tcp -m tcp --sport {match.port} {state} {end}"]
    middle = f"-p tcp -m tcp --dport {match.port} {end}"
    if match.action == "drop":
        middle = f"! -i lo {middle}"
    if not match.networks:
        return [f"-A INPUT {middle}"]
    return [f"-A INPUT -s {network} {middle}" for network in match.networks]


@dataclass(frozen=True, slots=True)
class _Difference:
    surplus: tuple[SavedRule, ...]
    missing: tuple[str, ...]


def _difference(table: FilterTable, specs: Sequence[str], owned: frozenset[str]) -> _Difference:
    surplus = table.tagged(owned)
    missing: list[str] = []
    for spec in specs:
        wanted = SavedRule(0, spec, saved.parse_spec(spec))
        same = (r for r in surplus if r.chain == wanted.chain and r.shape == wanted.shape)
        there = next(same, None)
        if there:
            surplus.remove(there)
        else:
            missing.append(spec)
    return _Difference(tuple(surplus), tuple(missing))


def _change(
    family: Family, facts: FirewallTexts, wanted: Sequence[Rule], owned: frozenset[str]
) -> FirewallChange:
    if family.running is None:
        return FirewallChange()
    specs = [spec for rule in wanted for spec in _specs(family.table, rule, family.version)]
    running = _difference(family.table, specs, owned)
    change = FirewallChange(
        commands=_restore(family, running),
        describe=(
            *(f"- IPv{family.version}: {rule.spec}" for rule in running.surplus),
            *(f"+ IPv{family.version}: {spec}" for spec in running.missing),
        ),
    )
    return _with_file(change, family, facts, specs, owned)


def _restore(family: Family, difference: _Difference) -> tuple[Command, ...]:
    deleted = [rule.spec.replace("-A ", "-D ", 1) for rule in difference.surplus]
    # Each goes to the head in turn: written backwards, they stand in the order of the file.
    inserted = [_at_head(spec) for spec in reversed(difference.missing)]
    if not deleted and not inserted:
        return ()
    lines = ["*filter", *deleted, *inserted, "COMMIT", ""]
    argv = (family.restore, "--noflush", "--wait")
    return (Command(argv, stdin="\n".join(lines).encode(errors="surrogateescape")),)


def _at_head(spec: str) -> str:
    _, chain, rest = spec.split(" ", 2)
    return f"-I {chain} 1 {rest}"


def _with_file(
    change: FirewallChange,
    family: Family,
    facts: FirewallTexts,
    specs: Sequence[str],
    owned: frozenset[str],
) -> FirewallChange:
    if family.file is None:
        return replace(change, warnings=(_ABSENT.format(family.path),) if specs else ())
    difference = _difference(saved.read_filter(family.text), specs, owned)
    text, warnings = _edited(family, difference)
    if specs and facts.persistence not in {None, "enabled", "static", "enabled-runtime"}:
        warnings = (*warnings, _NOT_LOADED.format(facts.persistence))
    if text == family.text:
        return replace(change, warnings=warnings)
    content = text.encode(errors="surrogateescape")
    return replace(
        change,
        checks=(Command((family.restore, "--test"), stdin=content),),
        files={family.path: content},
        describe=(
            *change.describe,
            *(f"- {family.path}: {rule.spec}" for rule in difference.surplus),
            *(f"+ {family.path}: {spec}" for spec in difference.missing),
        ),
        warnings=warnings,
    )


def _edited(family: Family, difference: _Difference) -> tuple[str, tuple[str, ...]]:
    text = saved.remove_lines(family.text, difference.surplus)
    warnings: list[str] = []
    for chain, specs in _by_chain(difference.missing).items():
        edited = saved.insert_lines(text, chain, specs)
        if edited is None:
            warnings += [_NOT_IN_FILE.format(family.path, chain, spec) for spec in specs]
        text = edited or text
    return text, tuple(warnings)


def _by_chain(specs: Sequence[str]) -> Mapping[str, list[str]]:
    chains: dict[str, list[str]] = {}
    for spec in specs:
        chains.setdefault(spec.split()[1], []).append(spec)
    return chains


def _notes(pair: Sequence[Family], wanted: Sequence[Rule]) -> list[str]:
    accepts = [rule for rule in wanted if rule.action == "accept"]
    open_ports = [r.port for r in accepts if not any(_specs(f.table, r, f.version) for f in pair)]
    return [f"nothing blocks port {port}" for port in dict.fromkeys(open_ports)]


_ABSENT = (
    "There is no {}, so the rule is gone after a reboot: install iptables-persistent and save the "
    "rules, or add the rule where this machine loads its rules from."
)
_NOT_LOADED = (
    "The files in /etc/iptables are not loaded at boot (netfilter-persistent.service is {}): "
    "enable it, or the rule is gone after a reboot."
)
_NOT_IN_FILE = (
    "{} has no chain {} in its filter table. Add this line at the head of that chain where this "
    "machine loads its rules from: {}"
)
