"""The rules in force, read from ``nft -a -j list ruleset``.

The format: libnftables-json(5). Priorities and verdicts: nft(8): an accept ends the evaluation of
one base chain only, a drop ends all of them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network, summarize_address_range
from typing import Any, NamedTuple

from instances.nodeconf.firewall.rules import FirewallUnreadableError, Network, Version

# libnftables-json is a tree of objects, lists and scalars without a schema to lean on.
Json = Any


class ChainKey(NamedTuple):
    """A chain's full name."""

    family: str
    table: str
    name: str

    @property
    def versions(self) -> tuple[Version, ...]:
        """The IP versions whose packets the chain sees."""
        return {"ip": (4,), "ip6": (6,), "inet": (4, 6)}.get(self.family, ())  # type: ignore[return-value]

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True, slots=True)
class NftRule:
    """A rule in force; its handle is what deletes it."""

    chain: ChainKey
    handle: int
    comment: str
    expr: tuple[Json, ...]

    @property
    def established_accept(self) -> bool:
        """Whether it lets every packet of an established connection pass."""
        rest = [e for e in self.expr if not e.keys() & {"counter", "log"}]
        if len(rest) == 1 and "vmap" in rest[0]:
            return _is_ct_state(rest[0]["vmap"]["key"]) and _accepts_established(rest[0]["vmap"])
        return (
            len(rest) == 2
            and "accept" in rest[1]
            and "match" in rest[0]
            and _is_ct_state(rest[0]["match"]["left"])
            and rest[0]["match"]["op"] in {"in", "=="}
            and "established" in list(_scalars(rest[0]["match"]["right"]))
        )

    def may_match(self, port: int) -> bool:
        """Whether a TCP packet to this port can get through the rule's conditions."""
        return not any(_excludes(e["match"], port) for e in self.expr if "match" in e)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; hook and policy only where it is a base chain."""

    key: ChainKey
    type: str
    hook: str
    policy: str


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything in force, as far as firewall planning looks at it."""

    chains: Mapping[ChainKey, Chain]
    rules: tuple[NftRule, ...]
    maps: Mapping[tuple[str, str, str], Json]

    def base(self, hook: str) -> tuple[Chain, ...]:
        """Return the filter chains on a hook."""
        return tuple(c for c in self.chains.values() if c.hook == hook and c.type == "filter")

    def rules_of(self, chain: ChainKey) -> tuple[NftRule, ...]:
        """Return a chain's rules in order."""
        return tuple(rule for rule in self.rules if rule.chain == chain)

    def by_iptables(self, key: ChainKey) -> bool:
        """Whether iptables-nft owns the table: it marks its rules with xt expressions."""
        same = (r for r in self.rules if r.chain[:2] == key[:2])
        return any("xt" in expr for rule in same for expr in rule.expr)

    def blocks(self, chain: ChainKey, port: int) -> bool:
        """Whether the chain, or one it jumps to, can drop or reject a packet to the port."""
        return self._blocks(chain, port, frozenset())

    def _blocks(self, key: ChainKey, port: int, seen: frozenset[ChainKey]) -> bool:
        chain = self.chains.get(key)
        if chain is None or key in seen:
            return False
        if chain.policy == "drop":
            return True
        rules = (rule for rule in self.rules_of(key) if rule.may_match(port))
        return any(self._rule_blocks(rule, port, seen | {key}) for rule in rules)

    def _rule_blocks(self, rule: NftRule, port: int, seen: frozenset[ChainKey]) -> bool:
        for word, value in self._verdicts(rule):
            if word in {"drop", "reject"}:
                return True
            target = rule.chain._replace(name=value["target"])
            if self._blocks(target, port, seen):
                return True
        return False

    def _verdicts(self, rule: NftRule) -> Iterator[tuple[str, Json]]:
        for word, value in _pairs(list(rule.expr)):
            if word in {"drop", "reject", "jump", "goto"}:
                yield word, value
            elif isinstance(value, str) and value.startswith("@"):
                elements = self.maps.get((*rule.chain[:2], value[1:]), [])
                yield from ((w, v) for w, v in _pairs(elements) if w in {"drop", "jump", "goto"})

    def lets_replies_out(self, chain: ChainKey) -> bool:
        """Whether established connections are accepted in the chain itself."""
        return any(rule.established_accept for rule in self.rules_of(chain))


def read_ruleset(text: str) -> Ruleset:
    """Parse nft's JSON.

    Raises:
        FirewallUnreadableError: If it is not that.
    """
    try:
        entries = json.loads(text)["nftables"]
        chains = [_chain(e["chain"]) for e in entries if "chain" in e]
        rules = tuple(_rule(e["rule"]) for e in entries if "rule" in e)
        maps = [e["map"] for e in entries if "map" in e]
    except (ValueError, KeyError, TypeError) as e:
        raise FirewallUnreadableError(
            "the answer of nft is not its JSON; see what `nft -a -j list ruleset` says"
        ) from e
    return Ruleset(
        chains={chain.key: chain for chain in chains},
        rules=rules,
        maps={(m["family"], m["table"], m["name"]): m.get("elem", []) for m in maps},
    )


def _chain(entry: Mapping[str, Json]) -> Chain:
    key = ChainKey(entry["family"], entry["table"], entry["name"])
    return Chain(key, entry.get("type", ""), entry.get("hook", ""), entry.get("policy", ""))


def _rule(entry: Mapping[str, Json]) -> NftRule:
    key = ChainKey(entry["family"], entry["table"], entry["chain"])
    return NftRule(key, entry["handle"], entry.get("comment", ""), tuple(entry.get("expr", ())))


def shape(expr: tuple[Json, ...]) -> Mapping[str, object]:
    """Reduce a rule to what it matches and does, whatever way nft chose to list it."""
    found: dict[str, object] = {}
    for part in expr:
        if "match" in part:
            name, value = _condition(part["match"])
            found[name] = value
        elif not part.keys() & {"counter", "log"}:
            found["verdict"] = next(iter(part))
    return found


def _condition(match: Mapping[str, Json]) -> tuple[str, object]:
    left, right = match["left"], match["right"]
    (kind, what), *_ = left.items() if isinstance(left, dict) else [("?", {})]
    what = what if isinstance(what, dict) else {}
    name = f"{what.get('protocol', kind)} {what.get('field', what.get('key', ''))}"
    if name in {"ip saddr", "ip6 saddr"}:
        return name, _networks(right)
    value = tuple(sorted(map(str, _scalars(right))))
    return name, ("!=", *value) if match["op"] == "!=" else value


def _networks(value: Json) -> tuple[Network, ...]:
    items = value["set"] if isinstance(value, dict) and "set" in value else [value]
    found = [network for item in items for network in _network(item)]
    return tuple(sorted(found, key=lambda n: (n.version, n)))


def _network(item: Json) -> Iterator[Network]:
    if isinstance(item, str) and not item.startswith("@"):
        yield ip_network(item)
    elif isinstance(item, dict) and "prefix" in item:
        yield ip_network(f"{item['prefix']['addr']}/{item['prefix']['len']}")
    elif isinstance(item, dict) and "range" in item:
        ends: Json = [ip_address(end) for end in item["range"]]
        yield from summarize_address_range(*ends)


def _excludes(match: Mapping[str, Json], port: int) -> bool:
    payload = match["left"].get("payload", {}) if isinstance(match["left"], dict) else {}
    protocol, right = payload.get("protocol"), match["right"]
    if protocol in {"udp", "icmp", "icmpv6", "sctp", "dccp"}:
        return True
    if protocol not in {"tcp", "th"} or payload.get("field") != "dport":
        return False
    if isinstance(right, int):
        return bool((right == port) == (match["op"] == "!="))
    return match["op"] == "==" and _only_ports(right) and not _has_port(right, port)


def _only_ports(value: Json) -> bool:
    items = value.get("set", [value]) if isinstance(value, dict) else [value]
    return all(isinstance(i, int) or (isinstance(i, dict) and "range" in i) for i in items)


def _has_port(value: Json, port: int) -> bool:
    items = value.get("set", [value])
    spans = [item["range"] if isinstance(item, dict) else (item, item) for item in items]
    return any(first <= port <= last for first, last in spans)


def _is_ct_state(left: Json) -> bool:
    return bool(left == {"ct": {"key": "state"}})


def _accepts_established(vmap: Mapping[str, Json]) -> bool:
    elements = vmap["data"].get("set", []) if isinstance(vmap["data"], dict) else []
    return any("established" in list(_scalars(k)) and "accept" in v for k, v in elements)


def _pairs(node: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(node, dict):
        for word, value in node.items():
            yield word, value
            yield from _pairs(value)
    elif isinstance(node, list):
        for item in node:
            yield from _pairs(item)


def _scalars(node: Json) -> Iterator[object]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _scalars(value)
    elif isinstance(node, list):
        for item in node:
            yield from _scalars(item)
    else:
        yield node
