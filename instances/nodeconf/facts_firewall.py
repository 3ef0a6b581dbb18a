"""Which firewall a node has, and why we think so."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from instances.nodeconf.facts_script import Sections
from instances.nodeconf.firewall.rules import FirewallTexts

BackendName = Literal["nftables", "iptables", "ufw", "firewalld", "none"]

_UNITS = {"firewalld", "ufw", "nftables", "iptables", "ip6tables", "netfilter-persistent"}
_LOADERS = {"nftables": "nftables.service", "iptables": "netfilter-persistent.service"}
_IPTABLES_TABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})
_BUILT_IN = re.compile(r"^:(?:INPUT|OUTPUT) (?!ACCEPT)(\S+)|^-A (INPUT|OUTPUT) ", re.MULTILINE)
_ENABLED = frozenset({"enabled", "enabled-runtime"})
# firewalld has its rules in force for a second before systemd calls it active.
_UP = frozenset({"active", "activating", "reloading"})


@dataclass(frozen=True, slots=True)
class FirewallFacts:
    """The firewall that decides about incoming connections.

    Args:
        reason: Why this one, in a sentence.
        texts: What nftables and iptables said word for word, for the planners in
            `nodeconf.firewall`. ufw and firewalld are slow to answer: where `complete` is False,
            the backend's own ``read_commands`` are still to be run.
        active_units: Of firewalld, ufw, nftables, iptables, ip6tables and netfilter-persistent.
        enabled_units: Those that start at boot.
    """

    backend: BackendName
    reason: str
    texts: FirewallTexts = field(repr=False)
    active_units: tuple[str, ...] = ()
    enabled_units: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether a plan can be made from the texts."""
        return self.backend not in {"ufw", "firewalld"}


def firewall_facts(sections: Sections, units: Mapping[str, Mapping[str, str]]) -> FirewallFacts:
    """Choose the backend from what was read.

    Args:
        sections: The script's answer.
        units: Properties of systemd units by name.
    """
    known = {
        name.removesuffix(".service"): properties
        for name, properties in units.items()
        if properties.get("LoadState") == "loaded" and name.removesuffix(".service") in _UNITS
    }
    active = tuple(sorted(n for n, unit in known.items() if unit.get("ActiveState") in _UP))
    enabled = tuple(sorted(n for n, u in known.items() if u.get("UnitFileState") in _ENABLED))
    texts = _texts(sections)
    backend, reason = _choose(texts, active, ufw_enabled=("ufwenabled", "") in sections)
    loader = units.get(_LOADERS.get(backend, ""), {})
    texts = replace(texts, persistence=loader.get("UnitFileState") or "not-found")
    return FirewallFacts(backend, reason, texts, active, enabled)


def _texts(sections: Sections) -> FirewallTexts:
    def text(name: str) -> str:
        return sections.get((name, ""), b"").decode(errors="replace")

    return FirewallTexts(
        nft_ruleset=text("nft"),
        nft_json=text("nftjson"),
        nftables_conf=sections.get(("nftconf", "")),
        iptables_save=text("iptables"),
        ip6tables_save=text("ip6tables") if ("ip6tables", "") in sections else None,
        rules_v4=sections.get(("rulesv4", "")),
        rules_v6=sections.get(("rulesv6", "")),
    )


def _choose(
    texts: FirewallTexts, active: tuple[str, ...], *, ufw_enabled: bool
) -> tuple[BackendName, str]:
    if "firewalld" in active:
        return "firewalld", "firewalld is running."
    if ufw_enabled and ":ufw-user-input " in texts.iptables_save:
        return "ufw", "ufw is enabled and its chains are in force."
    chains = list(_native_input_chains(texts))
    if chains:
        return "nftables", f"The nftables chain {chains[0]} filters what comes in."
    if "nftables" in active and b"hook input" in (texts.nftables_conf or b""):
        return "nftables", "nftables.service is active and /etc/nftables.conf has an input chain."
    for name, text in (
        ("iptables", texts.iptables_save),
        ("ip6tables", texts.ip6tables_save or ""),
    ):
        if _BUILT_IN.search(_filter_table(text)):
            return "iptables", f"{name}-save shows rules or a policy for incoming connections."
    return "none", "No running firewall filters incoming connections."


def _filter_table(saved: str) -> str:
    """Leave out the nat table: its rules of INPUT block nothing."""
    return re.sub(r"^\*nat$.*?^COMMIT$", "", saved, flags=re.MULTILINE | re.DOTALL)


def _native_input_chains(texts: FirewallTexts) -> Iterator[str]:
    """Name base chains on the input hook that iptables-nft did not make."""
    for item in _ruleset(texts.nft_json):
        chain = item.get("chain", {})
        if chain.get("hook") == "input" and not _by_iptables(chain, texts):
            yield f"{chain['family']} {chain['table']} {chain['name']}"


def _by_iptables(chain: Mapping[str, Any], texts: FirewallTexts) -> bool:
    """Recognise iptables-nft's chains: its names, and iptables-save can list them.

    nft >= 1.0.6 says so itself in its text; older ones (bullseye's 0.9.8) do not.
    """
    family, table = chain["family"], chain["table"]
    if f"table {family} {table} is managed by iptables-nft" in texts.nft_ruleset:
        return True
    saved = {"ip": texts.iptables_save, "ip6": texts.ip6tables_save}.get(family) or ""
    listed = f"*{table}\n" in saved and f":{chain['name']} " in saved
    return table in _IPTABLES_TABLES and chain["name"] == "INPUT" and listed


def _ruleset(text: str) -> list[dict[str, Any]]:
    try:
        items = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError):
        return []
    return [item for item in items if isinstance(item, dict)]
