"""What every firewall backend speaks of: rules wanted, what was read, what would change."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Literal, Protocol

from instances.nodeconf.command import Command, Result

Action = Literal["accept", "drop"]
Version = Literal[4, 6]
Network = IPv4Network | IPv6Network

VERSIONS: tuple[Version, Version] = (4, 6)

# nftables ends a comment at 128 bytes, ufw and iptables later.
_TAG = re.compile(r"[A-Za-z0-9:_-]{1,100}\Z")


class FirewallUnreadableError(Exception):
    """The node's answer is not a ruleset. The message says which command to run by hand."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One port that is to be open, or closed.

    Args:
        tag: The owner's mark, unique on the node: exactly what carries it is removed later.
        port: A TCP port of the node.
        action: "accept" opens it; "drop" closes it from outside, never for loopback.
        networks: Where it holds for, as CIDRs of either family; none means anywhere.

    Raises:
        ValueError: For a tag, port or network that no backend could carry.
    """

    tag: str
    port: int
    action: Action = "accept"
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _TAG.match(self.tag):
            raise ValueError(f"a firewall tag is 1 to 100 of A-Z a-z 0-9 : _ -, not {self.tag!r}")
        if not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is not a TCP port")
        for network in self.networks:
            ip_network(network, strict=False)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule as one chain or zone needs it.

    Args:
        version: The IP version it is limited to; None for both.
        networks: Sources, none overlapping; empty for anywhere in that version.
        reply: The answer on its way out, in a firewall that also filters output.
    """

    tag: str
    port: int
    action: Action = "accept"
    version: Version | None = None
    networks: tuple[Network, ...] = ()
    reply: bool = False


def matches(rule: Rule, versions: Iterable[Version]) -> tuple[Match, ...]:
    """Return what a chain that sees these IP versions needs for a rule.

    Networks that overlap or touch are merged: nftables refuses overlapping intervals in a set.
    """
    seen = frozenset(versions)
    both = None if len(seen) == 2 else min(seen)
    sources = {version: _sources(rule, version) for version in VERSIONS}
    if not rule.networks or all(_everywhere(found) for found in sources.values()):
        return (Match(rule.tag, rule.port, rule.action, both),)
    return tuple(
        Match(rule.tag, rule.port, rule.action, version, () if _everywhere(found) else found)
        for version, found in sources.items()
        if found and version in seen
    )


def reply(rule: Rule, versions: Iterable[Version]) -> Match:
    """Return the match that lets a rule's answers out."""
    seen = frozenset(versions)
    return Match(rule.tag, rule.port, version=None if len(seen) == 2 else min(seen), reply=True)


def _sources(rule: Rule, version: Version) -> tuple[Network, ...]:
    networks = [ip_network(network, strict=False) for network in rule.networks]
    if version == 4:
        return tuple(collapse_addresses(n for n in networks if isinstance(n, IPv4Network)))
    return tuple(collapse_addresses(n for n in networks if isinstance(n, IPv6Network)))


def _everywhere(networks: Sequence[Network]) -> bool:
    return any(network.prefixlen == 0 for network in networks)


@dataclass(frozen=True, slots=True)
class FirewallTexts:
    """What was read on a node, word for word. Only the fields of its backend need be filled.

    Args:
        nft_ruleset: ``nft -a list ruleset``, for people; decisions are made from nft_json.
        nft_json: ``nft -a -j list ruleset``.
        nftables_conf: /etc/nftables.conf; None where it is absent.
        ip6tables_save: None where the node has no ip6tables, so nothing to plan for IPv6.
        rules_v4: /etc/iptables/rules.v4; None where it is absent. rules_v6 likewise.
        persistence: What ``systemctl is-enabled`` says of the unit that loads the persistent
            file; None where nobody asked.
        ufw_status: ``ufw status verbose``.
        ufw_added: ``ufw show added``.
        ufw_ipv6: The line ``IPV6=`` of /etc/default/ufw.
        firewalld_state: ``firewall-cmd --state``.
        firewalld_zones: ``firewall-cmd --list-all-zones``, firewalld_permanent the same with
            ``--permanent``.
        firewalld_default: ``firewall-cmd --get-default-zone``.
    """

    nft_ruleset: str = ""
    nft_json: str = ""
    nftables_conf: bytes | None = None
    iptables_save: str = ""
    ip6tables_save: str | None = ""
    rules_v4: bytes | None = None
    rules_v6: bytes | None = None
    persistence: str | None = None
    ufw_status: str = ""
    ufw_added: str = ""
    ufw_ipv6: str = ""
    firewalld_state: str = ""
    firewalld_zones: str = ""
    firewalld_permanent: str = ""
    firewalld_default: str = ""


@dataclass(frozen=True, slots=True)
class FirewallChange:
    """What would have to happen, in the order of the fields.

    Args:
        checks: Commands that change nothing and fail where a new file would not load.
        commands: The change of the rules in force.
        files: New content of the files that the rules are loaded from at boot. The caller writes
            them atomically, keeping owner, mode and links.
        describe: Lines for the preview, each beginning with + or -.
        problems: Why what is wanted stays out of reach, in sentences: the port remains closed, or
            open.
        warnings: Why it will not last, and what an operator has to do about it.
        notes: Why something needs no change.
    """

    checks: tuple[Command, ...] = ()
    commands: tuple[Command, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    describe: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.commands and not self.files


@dataclass(frozen=True, slots=True)
class Reason:
    """Whether the wanted rules are in place, and why."""

    satisfied: bool
    reason: Literal["InPlace", "NothingBlocks", "NotPersistent", "Differs", "OutOfReach"]
    message: str


class Backend(Protocol):
    """One kind of firewall. All methods are pure."""

    name: str

    def read_commands(self) -> tuple[Command, ...]:
        """Return the commands whose results `parse` wants, for one round trip."""

    def parse(self, results: Sequence[Result]) -> FirewallTexts:
        """Turn the results of `read_commands`, in their order, into texts."""

    def tags(self, facts: FirewallTexts, prefix: str) -> frozenset[str]:
        """Return the tags beginning with prefix that stand in force or in the file."""

    def present(self, facts: FirewallTexts, tag: str) -> tuple[str, ...]:
        """Return the rules with this tag, in force and in the file, as lines to read."""

    def satisfied(self, facts: FirewallTexts, wanted: Sequence[Rule], tag_prefix: str) -> Reason:
        """Say whether the wanted rules, and no others under the prefix, are in place."""

    def plan(
        self, facts: FirewallTexts, wanted: Sequence[Rule], tags: Iterable[str] = ()
    ) -> FirewallChange:
        """Return the change that puts the wanted rules in place and removes the other tags."""

    def remove(self, facts: FirewallTexts, tags: Iterable[str]) -> FirewallChange:
        """Return the change that removes what carries these tags, and nothing else."""


def reason_for(change: FirewallChange) -> Reason:
    """Put a plan into one answer."""
    if not change.empty:
        return Reason(satisfied=False, reason="Differs", message="; ".join(change.describe))
    if change.problems:
        return Reason(satisfied=False, reason="OutOfReach", message=" ".join(change.problems))
    if change.warnings:
        return Reason(satisfied=True, reason="NotPersistent", message=" ".join(change.warnings))
    if change.notes:
        return Reason(satisfied=True, reason="NothingBlocks", message="; ".join(change.notes))
    return Reason(satisfied=True, reason="InPlace", message="every rule is in place")
