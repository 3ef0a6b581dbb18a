"""The firewall rule: tagged, before any drop, in force and in the backend's own file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from addons.encryption.steps.base import Settled
from addons.engine.step import Change, Line, State
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.firewall import BACKENDS, Backend, FirewallTexts, Rule, iptables, nftables
from instances.reason import Reason
from instances.remote import files


class FirewallRules(Settled):
    """Makes exactly the wanted rules stand under a tag.

    Args:
        wanted: The rules; none removes what is there.
        previous: The rules that earlier runs put there: what an undo leads back to.
        prefix: What our tags on this node begin with.
        backend: The name of the backend in force, or of the one that was used at the install.

    After `inspect`, ``problems`` say why the rules cannot be reached, ``warnings`` what they lack.
    """

    key = "firewall"
    title = "Firewall"

    def __init__(
        self, wanted: Sequence[Rule], *, previous: Sequence[Rule], prefix: str, backend: str
    ) -> None:
        self.wanted = tuple(wanted)
        self._previous = tuple(previous)
        self._prefix = prefix
        self._name = backend
        self.problems: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()

    @property
    def _backend(self) -> Backend | None:
        return BACKENDS.get(self._name)

    def inspect(self, node: NodeSession) -> State:
        """Read the rules in force and those of the file."""
        backend = self._backend
        if backend is None:
            return {"backend": "none", "rules": [], "wanted": []}
        texts = self._texts(node, backend)
        change = backend.plan(texts, self.wanted, self._tags(backend, texts))
        self.problems, self.warnings = change.problems, change.warnings
        return {
            "backend": self._name,
            "rules": [asdict(rule) for rule in self._previous],
            "wanted": [asdict(rule) for rule in self.wanted],
            "changes": not change.empty,
            "describe": list(change.describe),
            "notes": list(change.notes),
        }

    def _tags(self, backend: Backend, texts: FirewallTexts) -> frozenset[str]:
        """Return every tag that may be ours; firewalld cannot list them."""
        known = {rule.tag for rule in (*self.wanted, *self._previous)}
        return backend.tags(texts, self._prefix) | known

    def _texts(self, node: NodeSession, backend: Backend) -> FirewallTexts:
        firewall = node.facts.firewall
        if firewall.backend == self._name and firewall.complete:
            return firewall.texts
        return self._read(node, backend)

    @staticmethod
    def _read(node: NodeSession, backend: Backend) -> FirewallTexts:
        return backend.parse(node.host.run_all(backend.read_commands()))

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied where nothing blocks the port, or the rules stand."""
        if state["backend"] == "none":
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
        return self._reach(node, self.wanted, looked=only_adds)

    def undo(self, node: NodeSession, before: State) -> str:
        """Make the rules of before stand again, and no others of ours."""
        return self._reach(node, [stored_rule(rule) for rule in before["rules"]], looked=False)

    def _reach(self, node: NodeSession, wanted: Sequence[Rule], *, looked: bool) -> str:
        backend = self._backend
        if backend is None:
            return "there is no firewall to change"
        texts = self._texts(node, backend) if looked else self._read(node, backend)
        change = backend.plan(texts, wanted, self._tags(backend, texts))
        if change.empty:
            return f"{self._name}: the rules were right already"
        node.host.run_all(
            [
                *change.checks,
                *change.commands,
                *(_file_command(path, new, texts) for path, new in change.files.items()),
            ]
        )
        added = sum(text.startswith("+") for text in change.describe)
        removed = sum(text.startswith("-") for text in change.describe)
        parts = [f"{n} {verb}" for n, verb in ((added, "added"), (removed, "removed")) if n]
        return f"{self._name}: {', '.join(parts)}"


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
    seen = known.get(path)
    digest = files.sha256(seen) if seen is not None else None
    return files.replace_command(path, content, expected_sha256=digest)
