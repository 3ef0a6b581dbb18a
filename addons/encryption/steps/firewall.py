"""The firewall rule: tagged, before any drop, in force and in the backend's own file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from addons.encryption.steps.base import Settled
from addons.engine.step import Change, Line, State
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.firewall import (
    BACKENDS,
    FirewallChange,
    FirewallTexts,
    Rule,
    iptables,
    nftables,
)
from instances.reason import Reason
from instances.remote import files

NO_FIREWALL = "none"

_PROGRAMS = {"nftables": "nft", "iptables": "iptables", "ufw": "ufw", "firewalld": "firewall-cmd"}

_Part = tuple[str, Sequence[Rule]]
"""The name of a backend, and the rules of ours that are to stand in it."""


class FirewallRules(Settled):
    """Makes exactly the wanted rules stand under a tag.

    Args:
        wanted: The rules; none removes what is there.
        previous: The rules that earlier runs put there: what an undo leads back to.
        prefix: What our tags on this node begin with.
        backend: The name of the backend in force, or of the one that was used at the install.
        former: The one with which earlier runs put their rules: an operator may have changed to
            another since, and then they are taken away there. Nothing where that is the same.

    After `inspect`, ``problems`` say why the rules cannot be reached, ``warnings`` what they lack.
    """

    key = "firewall"
    title = "Firewall"

    def __init__(
        self,
        wanted: Sequence[Rule],
        *,
        previous: Sequence[Rule],
        prefix: str,
        backend: str,
        former: str = "",
    ) -> None:
        self.wanted = tuple(wanted)
        self._previous = tuple(previous)
        self._prefix = prefix
        self._name = backend
        # One that was only switched off keeps its rules: it may come back.
        self._former = backend if backend == NO_FIREWALL else former or backend
        self.problems: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()

    def inspect(self, node: NodeSession) -> State:
        """Read the rules in force and those of the file."""
        parts = self._parts(node, self._name, self.wanted)
        changes = [self._planned(node, name, rules, looked=True)[1] for name, rules in parts]
        self.problems = tuple(text for change in changes for text in change.problems)
        self.warnings = (
            *(text for change in changes for text in change.warnings),
            *self._out_of_hand(node),
        )
        return {
            "backend": self._name,
            "rules": [asdict(rule) for rule in self._previous],
            "wanted": [asdict(rule) for rule in self.wanted],
            "changes": any(not change.empty for change in changes),
            "describe": [text for change in changes for text in change.describe],
            "notes": [text for change in changes for text in change.notes],
        }

    def _parts(self, node: NodeSession, name: str, rules: Sequence[Rule]) -> list[_Part]:
        """Return the rules by backend: all of them in this one, none in the other."""
        others = sorted(self._where(node) - {name, NO_FIREWALL})
        parts: list[_Part] = [(name, rules), *((each, ()) for each in others)]
        return [part for part in parts if part[1] or _is_there(node, part[0])]

    def _where(self, node: NodeSession) -> set[str]:
        """Return the backends in which rules of ours may stand.

        An operator may have changed to another one while nobody drove the run: what the killed
        attempt put there is in the one of then, and the baseline, which that attempt recorded, does
        not tell where the takeover put it.
        """
        now = node.facts.firewall.backend
        if self._name == now == NO_FIREWALL and self._previous:
            return set()
        begun = node.brief.begun.get("firewall", {}).get("backend", NO_FIREWALL)
        return {self._name, self._former, begun, now}

    def _out_of_hand(self, node: NodeSession) -> Sequence[str]:
        gone = [each for each in sorted(self._where(node)) if not _is_there(node, each)]
        return [
            f"{each}, by which Redoubt opened the port before, is no longer installed: what its "
            "files keep of that rule stays there."
            for each in gone
        ]

    def _planned(
        self, node: NodeSession, name: str, rules: Sequence[Rule], *, looked: bool
    ) -> tuple[FirewallTexts, FirewallChange]:
        """Plan for one backend, on what the facts tell of it or on a fresh look."""
        backend, firewall = BACKENDS[name], node.facts.firewall
        if looked and firewall.backend == name and firewall.complete:
            texts = firewall.texts
        else:
            texts = backend.parse(node.host.run_all(backend.read_commands()))
        # firewalld cannot list the tags.
        known = {rule.tag for rule in (*self.wanted, *self._previous)}
        return texts, backend.plan(texts, rules, backend.tags(texts, self._prefix) | known)

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied where nothing blocks the port, or the rules stand."""
        if state["backend"] == NO_FIREWALL and not state["changes"]:
            return Reason("NoFirewall", "no firewall filters here, so no rule is needed")
        if state["changes"]:
            return None
        return Reason("InPlace", "; ".join(state["notes"]) or "the firewall is as wanted")

    def describe(self, state: State) -> Sequence[Change]:
        """Show the rules that come and go."""
        lines = [Line("hunk", f"@@ {state['backend']} @@")]
        for text in state["describe"]:
            kind = {"+": "add", "-": "del"}.get(text[:1], "context")
            lines.append(Line(kind, text[1:] if kind != "context" else text))
        count = len(lines) - 1
        return [Change(f"{count} firewall rule{'s' * (count != 1)} change.", tuple(lines))]

    def apply(self, node: NodeSession, state: State) -> str:
        """Carry it out; what deletes by a handle is planned again from a fresh look."""
        only_adds = all(text.startswith("+") for text in state["describe"])
        return self._reach(node, self._parts(node, self._name, self.wanted), looked=only_adds)

    def undo(self, node: NodeSession, before: State) -> str:
        """Make the rules of before stand again where they stood, and no others of ours."""
        rules = [stored_rule(rule) for rule in before["rules"]]
        return self._reach(node, self._parts(node, self._former, rules), looked=False)

    def _reach(self, node: NodeSession, parts: Sequence[_Part], *, looked: bool) -> str:
        said = [self._change(node, name, rules, looked=looked) for name, rules in parts]
        return "; ".join(said)

    def _change(self, node: NodeSession, name: str, rules: Sequence[Rule], *, looked: bool) -> str:
        texts, change = self._planned(node, name, rules, looked=looked)
        if change.empty:
            return f"{name}: the rules were right already"
        node.host.run_all(
            [
                *change.checks,
                *change.commands,
                *(_file_command(path, new, texts) for path, new in change.files.items()),
            ]
        )
        added = sum(text.startswith("+") for text in change.describe)
        removed = sum(text.startswith("-") for text in change.describe)
        counted = [f"{n} {verb}" for n, verb in ((added, "added"), (removed, "removed")) if n]
        return f"{name}: {', '.join(counted)}"


def _is_there(node: NodeSession, name: str) -> bool:
    """Say whether a backend's program is on the machine."""
    return name == NO_FIREWALL or _PROGRAMS[name] in node.facts.tools


def stored_rule(stored: Mapping[str, Any]) -> Rule:
    """Return a rule from a state that was stored: JSON knows no tuples."""
    return Rule(**{**stored, "networks": tuple(stored["networks"])})


def _file_command(path: str, content: bytes, texts: FirewallTexts) -> Command:
    """Replace a persistent file, if it is still the one that was planned on."""
    known = {
        nftables.PATH: texts.nftables_conf,
        iptables.PATH_V4: texts.rules_v4,
        iptables.PATH_V6: texts.rules_v6,
    }
    return files.replace_command(path, content, seen=known.get(path))
