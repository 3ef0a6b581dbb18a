"""nftables: one transaction for what is in force, tagged lines in /etc/nftables.conf for the boot.

A rule carries its tag as its comment and is deleted by its handle. Handles start anew when somebody
reloads the ruleset, so a plan is made from facts read in the same breath as it is applied.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from instances.nodeconf.command import Command, Result
from instances.nodeconf.firewall import nft_file
from instances.nodeconf.firewall.nft_file import OWN_CHAIN
from instances.nodeconf.firewall.nft_ruleset import (
    ChainKey,
    NftRule,
    Ruleset,
    read_ruleset,
    shape,
)
from instances.nodeconf.firewall.rules import (
    FirewallChange,
    FirewallTexts,
    Match,
    Reason,
    Rule,
    matches,
    reason_for,
    reply,
)

PATH = "/etc/nftables.conf"
Placement = tuple[ChainKey, Match]


class Nftables:
    """Plans for nodes whose rules are nft's own."""

    name = "nftables"

    def read_commands(self) -> tuple[Command, ...]:
        return (
            Command(("nft", "-a", "-j", "list", "ruleset")),
            Command(("nft", "-a", "list", "ruleset")),
            Command(("cat", PATH), ok=frozenset({0, 1})),
            Command(("systemctl", "is-enabled", "nftables.service"), ok=frozenset(range(256))),
        )

    def parse(self, results: Sequence[Result]) -> FirewallTexts:
        as_json, as_text, conf, unit = results
        return FirewallTexts(
            nft_json=as_json.text,
            nft_ruleset=as_text.text,
            nftables_conf=conf.stdout if conf.code == 0 else None,
            persistence=unit.text.strip() or "not-found",
        )

    def tags(self, facts: FirewallTexts, prefix: str) -> frozenset[str]:
        comments = [rule.comment for rule in read_ruleset(facts.nft_json).rules]
        comments += [s.comment for s in nft_file.statements(_conf(facts)) if s.chain]
        return frozenset(c for c in comments if c and c.startswith(prefix))

    def present(self, facts: FirewallTexts, tag: str) -> tuple[str, ...]:
        listed = _listed(facts.nft_ruleset)
        running = [rule for rule in read_ruleset(facts.nft_json).rules if rule.comment == tag]
        return (
            *(f"in force: {_line(rule, listed)}" for rule in running),
            *(f"{PATH}: {line}" for line in nft_file.lines_of(_conf(facts), [tag])),
        )

    def satisfied(self, facts: FirewallTexts, wanted: Sequence[Rule], tag_prefix: str) -> Reason:
        return reason_for(self.plan(facts, wanted, self.tags(facts, tag_prefix)))

    def plan(
        self, facts: FirewallTexts, wanted: Sequence[Rule], tags: Iterable[str] = ()
    ) -> FirewallChange:
        ruleset = read_ruleset(facts.nft_json)
        places = [p for rule in wanted for p in _placements(ruleset, rule)]
        owned = frozenset(tags) | {rule.tag for rule in wanted}
        change = _runtime(ruleset, places, owned, _listed(facts.nft_ruleset))
        change = _with_file(change, facts, places, owned)
        return replace(
            change,
            problems=tuple(_owned_by_iptables(ruleset, wanted)),
            notes=tuple(_notes(ruleset, wanted)),
        )

    def remove(self, facts: FirewallTexts, tags: Iterable[str]) -> FirewallChange:
        return self.plan(facts, (), tags)


def _placements(ruleset: Ruleset, rule: Rule) -> list[Placement]:
    """Return each chain that must get the rule, and the rule as it needs it there."""
    if rule.action == "drop":
        chain = _drop_chain(ruleset)
        return [(chain, match) for match in matches(rule, chain.versions)]
    found = [
        (chain, match)
        for chain in _blocking(ruleset, "input", rule.port)
        for match in matches(rule, chain.versions)
    ]
    if found:
        outward = _blocking(ruleset, "output", rule.port)
        silent = [chain for chain in outward if not ruleset.lets_replies_out(chain)]
        found += [(chain, reply(rule, chain.versions)) for chain in silent]
    return found


def _blocking(ruleset: Ruleset, hook: str, port: int) -> list[ChainKey]:
    keys = [c.key for c in ruleset.base(hook) if c.key.versions]
    return [k for k in keys if ruleset.blocks(k, port) and not ruleset.by_iptables(k)]


def _drop_chain(ruleset: Ruleset) -> ChainKey:
    """A drop is final in any chain, so one that sees both IP versions is enough."""
    keys = [c.key for c in ruleset.base("input") if c.key.family == "inet"]
    others = [key for key in keys if key != OWN_CHAIN and not ruleset.by_iptables(key)]
    return others[0] if others else OWN_CHAIN


def render(chain: ChainKey, match: Match) -> str:
    """Write a rule as nft reads it."""
    comment = f'comment "{match.tag}"'
    if match.reply:
        return f"tcp sport {match.port} ct state established accept {comment}"
    words = ['iifname != "lo"'] if match.action == "drop" else []
    if match.networks:
        addresses = [_address(str(network)) for network in match.networks]
        many = f"{{ {', '.join(addresses)} }}" if len(addresses) > 1 else addresses[0]
        words.append(f"{'ip' if match.version == 4 else 'ip6'} saddr {many}")
    elif match.version and chain.family == "inet":
        words.append(f"meta nfproto ipv{match.version}")
    return " ".join([*words, f"tcp dport {match.port} {match.action}", comment])


def _address(network: str) -> str:
    return network.removesuffix("/32" if "." in network else "/128")


def _wanted_shape(chain: ChainKey, match: Match) -> dict[str, object]:
    port, verdict = (str(match.port),), match.action
    if match.reply:
        return {"tcp sport": port, "ct state": ("established",), "verdict": "accept"}
    found: dict[str, object] = {"tcp dport": port, "verdict": verdict}
    if match.action == "drop":
        found["meta iifname"] = ("!=", "lo")
    if match.networks:
        found["ip saddr" if match.version == 4 else "ip6 saddr"] = match.networks
    elif match.version and chain.family == "inet":
        found["meta nfproto"] = (f"ipv{match.version}",)
    return found


def _is(rule: NftRule, place: Placement) -> bool:
    chain, match = place
    same = rule.chain == chain and rule.comment == match.tag
    return same and shape(rule.expr) == _wanted_shape(chain, match)


def _runtime(
    ruleset: Ruleset,
    places: Sequence[Placement],
    owned: frozenset[str],
    listed: Mapping[tuple[str, str, int], str],
) -> FirewallChange:
    surplus = [rule for rule in ruleset.rules if rule.comment in owned]
    missing: list[Placement] = []
    for place in places:
        there = next((rule for rule in surplus if _is(rule, place)), None)
        if there:
            surplus.remove(there)
        else:
            missing.append(place)
    lines = [f"delete rule {r.chain} handle {r.handle}" for r in surplus]
    if any(chain == OWN_CHAIN for chain, _ in missing) and OWN_CHAIN not in ruleset.chains:
        lines += _make_own_table()
    # Each is put at the head in turn, so the last one written stands first, as in the file.
    lines += [f"insert rule {chain} {render(chain, match)}" for chain, match in reversed(missing)]
    if _own_table_empty(ruleset, surplus, missing):
        lines.append(f"delete table {OWN_CHAIN.family} {OWN_CHAIN.table}")
    command = Command(("nft", "-f", "-"), stdin="".join(f"{line}\n" for line in lines).encode())
    return FirewallChange(
        commands=(command,) if lines else (),
        describe=(
            *(f"- {_line(rule, listed)}" for rule in surplus),
            *(f"+ {chain}: {render(chain, match)}" for chain, match in missing),
        ),
    )


def _make_own_table() -> list[str]:
    return [
        f"add table {OWN_CHAIN.family} {OWN_CHAIN.table}",
        f"add chain {OWN_CHAIN} {{ type filter hook input priority 0; policy accept; }}",
    ]


def _own_table_empty(
    ruleset: Ruleset, surplus: Sequence[NftRule], missing: Sequence[Placement]
) -> bool:
    if any(chain == OWN_CHAIN for chain, _ in missing):
        return False
    left = [rule for rule in ruleset.rules_of(OWN_CHAIN) if rule not in surplus]
    return not left and any(rule.chain == OWN_CHAIN for rule in surplus)


def _with_file(
    change: FirewallChange,
    facts: FirewallTexts,
    places: Sequence[Placement],
    owned: frozenset[str],
) -> FirewallChange:
    if facts.nftables_conf is None:
        return replace(change, warnings=(_ABSENT,) if places else ())
    before = _conf(facts)
    after, warnings = _edited(before, places, owned)
    if places and facts.persistence not in {None, "enabled", "static", "enabled-runtime"}:
        warnings = (*warnings, _NOT_LOADED.format(facts.persistence))
    if after == before:
        return replace(change, warnings=warnings)
    content = after.encode(errors="surrogateescape")
    return replace(
        change,
        checks=(Command(("nft", "-c", "-f", "-"), stdin=content),),
        files={PATH: content},
        describe=(*change.describe, *_difference(before, after, owned)),
        warnings=warnings,
    )


def _edited(
    text: str, places: Sequence[Placement], owned: frozenset[str]
) -> tuple[str, tuple[str, ...]]:
    wanted = [(chain, render(chain, match)) for chain, match in places]
    surplus = []
    for statement in nft_file.tagged(text, owned):
        place = (statement.chain, statement.rule)
        if place in wanted:
            wanted.remove(place)
        else:
            surplus.append(statement)
    text = nft_file.remove(text, surplus)
    warnings: list[str] = []
    for chain in dict.fromkeys(chain for chain, _ in wanted):
        rules = [rule for key, rule in wanted if key == chain]
        edited = nft_file.insert(text, chain, rules)
        if edited is None and chain == OWN_CHAIN:
            edited = nft_file.append_own_table(text, rules)
        if edited is None:
            warnings += _not_in_file(text, chain, rules)
        text = edited or text
    return nft_file.remove_empty_own_table(text), tuple(warnings)


def _not_in_file(text: str, chain: ChainKey, rules: Sequence[str]) -> list[str]:
    where = f"{PATH} does not make the chain {chain} that is in force"
    if found := nft_file.includes(text):
        where += f"; it includes {', '.join(found)}, look there"
    return [
        f"{where}. After a reboot the port is closed again unless you add this line at the "
        f"head of that chain: {rule}"
        for rule in rules
    ]


def _difference(before: str, after: str, owned: frozenset[str]) -> list[str]:
    old, new = (list(nft_file.lines_of(text, owned)) for text in (before, after))
    return [
        *(f"- {PATH}: {line}" for line in old if line not in new),
        *(f"+ {PATH}: {line}" for line in new if line not in old),
    ]


def _owned_by_iptables(ruleset: Ruleset, wanted: Sequence[Rule]) -> list[str]:
    keys = [c.key for c in ruleset.base("input") if ruleset.by_iptables(c.key)]
    return [
        f"The chain {key} blocks port {rule.port} and belongs to iptables: choose the iptables "
        "backend for this machine, or open the port there."
        for rule in wanted
        for key in keys
        if rule.action == "accept" and ruleset.blocks(key, rule.port)
    ]


def _notes(ruleset: Ruleset, wanted: Sequence[Rule]) -> list[str]:
    accepts = [rule for rule in wanted if rule.action == "accept"]
    inputs = [chain.key for chain in ruleset.base("input")]
    open_ports = [
        rule.port for rule in accepts if not any(ruleset.blocks(key, rule.port) for key in inputs)
    ]
    return [f"nothing blocks port {port}" for port in dict.fromkeys(open_ports)]


def _conf(facts: FirewallTexts) -> str:
    return (facts.nftables_conf or b"").decode(errors="surrogateescape")


def _listed(ruleset: str) -> Mapping[tuple[str, str, int], str]:
    """Return the text of each rule in force by its family, table and handle."""
    found: dict[tuple[str, str, int], str] = {}
    family = table = ""
    for line in ruleset.splitlines():
        text, _, handle = line.strip().rpartition(" # handle ")
        if line.startswith("table "):
            _, family, table, *_ = line.split()
        elif handle.isdigit():
            found[family, table, int(handle)] = text
    return found


def _line(rule: NftRule, listed: Mapping[tuple[str, str, int], str]) -> str:
    # Without the handle: a preview is compared with a later plan, and handles change on a reload.
    key = (rule.chain.family, rule.chain.table, rule.handle)
    return f"{rule.chain}: {listed.get(key, f'the rule with comment {rule.comment}')}"


_ABSENT = (
    f"There is no {PATH}, so nothing loads rules at boot: after a reboot the firewall is what "
    "some other program makes of it."
)
_NOT_LOADED = (
    f"{PATH} is not loaded at boot (nftables.service is {{}}): enable it, or the rule is "
    "gone after a reboot."
)
