r"""firewalld: rich rules, in force and permanently, without a reload.

A rich rule has no comment. What marks ours is its *priority*, a number made from the tag: ``rule
priority="-17343" port port="6380" protocol="tcp" accept`` is a rule that no operator has written,
so what carries the number is ours and is removed exactly. A negative priority also puts it before
every rule of the zone that denies, which come before those that allow otherwise.
(firewalld.richlanguage(5); priorities exist since firewalld 0.7.)

Weighed and left: a service of our own, or a policy, is unknown in force until a reload; a direct
rule can carry a comment, but its accept does not end the evaluation of firewalld's nftables rules;
a rule without a mark would need the baseline to tell it from an operator's.

Loopback and established connections are accepted by firewalld before any zone is looked at.

A firewalld that does not run is starting, or was switched off and may come back: rules that are
wanted stay where they are, and what is to go is taken out of its files by firewall-offline-cmd.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from instances.nodeconf.command import Command, Result
from instances.nodeconf.firewall.rules import (
    VERSIONS,
    FirewallChange,
    FirewallTexts,
    Match,
    Reason,
    Rule,
    matches,
    reason_for,
)

_ANY = frozenset(range(256))
# ALREADY_ENABLED and NOT_ENABLED: what is asked for stands already.
_DONE = frozenset({0, 11, 12})
# Only the daemon's own client needs the daemon.
_LIST_PERMANENT = (
    "firewall-cmd --permanent --list-all-zones 2>/dev/null || firewall-offline-cmd --list-all-zones"
)
_OFFLINE = "firewall-offline-cmd"
_ZONE = re.compile(r"(\S+)(?:\s+\((.*)\))?$")


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as ``firewall-cmd --list-all-zones`` shows it."""

    name: str
    active: bool
    target: str
    rules: tuple[str, ...]

    @property
    def blocks(self) -> bool:
        """Whether it refuses anything that is not listed, or something that is."""
        denied = any(re.search(r"\b(drop|reject)\b", rule) for rule in self.rules)
        return self.target != "ACCEPT" or denied


class Firewalld:
    """Plans for nodes that are guarded by firewalld."""

    name = "firewalld"

    def read_commands(self) -> tuple[Command, ...]:
        return (
            Command(("firewall-cmd", "--state"), ok=_ANY),
            Command(("firewall-cmd", "--get-default-zone"), ok=_ANY),
            Command(("firewall-cmd", "--list-all-zones"), ok=_ANY),
            Command(("bash", "-c", _LIST_PERMANENT), ok=_ANY),
        )

    def parse(self, results: Sequence[Result]) -> FirewallTexts:
        state, default, zones, permanent = results
        return FirewallTexts(
            firewalld_state=state.text.strip() or state.stderr.decode(errors="replace").strip(),
            firewalld_default=default.text.strip(),
            firewalld_zones=zones.text,
            firewalld_permanent=permanent.text,
        )

    def tags(self, facts: FirewallTexts, prefix: str) -> frozenset[str]:
        """Return nothing: a priority does not tell its tag. Name the tags to plan and remove."""
        _ = facts, prefix
        return frozenset()

    def present(self, facts: FirewallTexts, tag: str) -> tuple[str, ...]:
        return (
            *(f"in force: zone {z}: {r}" for z, r in _marked(facts.firewalld_zones, [tag])),
            *(f"permanent: zone {z}: {r}" for z, r in _marked(facts.firewalld_permanent, [tag])),
        )

    def satisfied(self, facts: FirewallTexts, wanted: Sequence[Rule], tag_prefix: str) -> Reason:
        return reason_for(self.plan(facts, wanted, self.tags(facts, tag_prefix)))

    def plan(
        self, facts: FirewallTexts, wanted: Sequence[Rule], tags: Iterable[str] = ()
    ) -> FirewallChange:
        ours = {rule.tag for rule in wanted}
        places = [place for rule in wanted for place in _places(facts, rule)]
        parts = []
        if _running(facts):
            owned = frozenset(tags) | ours
            parts.append(_change(facts.firewalld_zones, places, owned, ("firewall-cmd",)))
            online = ("firewall-cmd", "--permanent")
            parts.append(_change(facts.firewalld_permanent, places, owned, online))
        else:
            gone = frozenset(tags) - ours
            parts.append(_change(facts.firewalld_permanent, (), gone, (_OFFLINE,)))
        return FirewallChange(
            commands=tuple(command for part in parts for command in part.commands),
            describe=tuple(line for part in parts for line in part.describe),
            problems=tuple(_down(facts, wanted)),
            warnings=tuple(line for part in parts for line in part.warnings),
            notes=tuple(_notes(facts, wanted)),
        )

    def remove(self, facts: FirewallTexts, tags: Iterable[str]) -> FirewallChange:
        return self.plan(facts, (), tags)


def priority(tag: str) -> int:
    """Return the number that marks a tag's rules, from -32000 to -1001."""
    return -1001 - zlib.crc32(tag.encode()) % 31000


def render(match: Match) -> str:
    """Write rich rules as firewalld lists them, one a source."""
    source = f' source address="{match.networks[0]}"' if match.networks else ""
    family = f' family="ipv{match.version}"' if match.version else ""
    return (
        f'rule priority="{priority(match.tag)}"{family}{source} '
        f'port port="{match.port}" protocol="tcp" {match.action}'
    )


def read_zones(text: str) -> Mapping[str, Zone]:
    """Parse ``firewall-cmd --list-all-zones``."""
    zones: dict[str, Zone] = {}
    for paragraph in re.split(r"\n(?=\S)", text.strip("\n")):
        head, *lines = paragraph.splitlines() or [""]
        if found := _ZONE.match(head.strip()):
            options = dict(line.strip().partition(": ")[::2] for line in lines)
            rules = tuple(line.strip() for line in lines if line.strip().startswith("rule "))
            active = "active" in (found[2] or "")
            zones[found[1]] = Zone(found[1], active, options.get("target", "default"), rules)
    return zones


def _running(facts: FirewallTexts) -> bool:
    return facts.firewalld_state == "running"


def _places(facts: FirewallTexts, rule: Rule) -> Iterator[tuple[str, str]]:
    if not _running(facts):
        return
    for zone in read_zones(facts.firewalld_zones).values():
        used = zone.active or zone.name == facts.firewalld_default
        if used and (rule.action == "drop" or zone.blocks):
            for match in matches(rule, VERSIONS):
                for one in _one_source_each(match):
                    yield zone.name, render(one)


def _one_source_each(match: Match) -> list[Match]:
    fields = (match.tag, match.port, match.action, match.version)
    return [Match(*fields, (network,)) for network in match.networks] or [match]


def _marked(text: str, tags: Iterable[str]) -> list[tuple[str, str]]:
    marks = [f'priority="{priority(tag)}"' for tag in tags]
    return [
        (zone.name, rule)
        for zone in read_zones(text).values()
        for rule in zone.rules
        if any(mark in rule for mark in marks)
    ]


def _change(
    text: str, places: Sequence[tuple[str, str]], owned: Iterable[str], program: tuple[str, ...]
) -> FirewallChange:
    zones = read_zones(text)
    standing = _marked(text, owned)
    surplus = [place for place in standing if place not in places]
    missing = [place for place in places if place not in standing and place[0] in zones]
    unknown = dict.fromkeys(zone for zone, _ in places if zone not in zones)
    where = "in force" if program == ("firewall-cmd",) else "permanent"
    return FirewallChange(
        # New ones first, so that the port is never closed between two commands.
        commands=(*_commands("add", missing, program), *_commands("remove", surplus, program)),
        describe=(
            *(f"- {where}: zone {zone}: {rule}" for zone, rule in surplus),
            *(f"+ {where}: zone {zone}: {rule}" for zone, rule in missing),
        ),
        warnings=tuple(
            f"The zone {zone} is not among firewalld's permanent zones: the rule is gone after a "
            "reboot or a reload. `firewall-cmd --runtime-to-permanent` would keep it."
            for zone in unknown
        ),
    )


def _commands(
    verb: str, places: Sequence[tuple[str, str]], program: tuple[str, ...]
) -> Iterator[Command]:
    for zone in dict.fromkeys(zone for zone, _ in places):
        rules = [f"--{verb}-rich-rule={rule}" for name, rule in places if name == zone]
        yield Command((*program, f"--zone={zone}", *rules), ok=_DONE)


def _down(facts: FirewallTexts, wanted: Sequence[Rule]) -> list[str]:
    verbs = {"accept": "open", "drop": "close"}
    return [
        f"firewalld is not running, so it cannot {verbs[rule.action]} port {rule.port}: "
        "`systemctl start firewalld`, or wait until it has started."
        for rule in wanted
        if not _running(facts)
    ]


def _notes(facts: FirewallTexts, wanted: Sequence[Rule]) -> list[str]:
    accepts = [rule for rule in wanted if rule.action == "accept" and _running(facts)]
    return [f"nothing blocks port {r.port}" for r in accepts if not list(_places(facts, r))]
