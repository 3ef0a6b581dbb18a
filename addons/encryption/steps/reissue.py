"""New certificates in the place of the present ones, and the server made to load them."""

from collections.abc import Sequence
from datetime import timedelta
from posixpath import join

from addons.encryption.layout import Layout
from addons.encryption.steps.certificate import IssueCertificates
from addons.engine.step import Change, Goal, Line, State
from addons.pki.facts import LeafFacts
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.errors import ServerRefused


class ReissueCertificates(IssueCertificates):
    """Issues both pairs once a run, whatever the present ones are like."""

    def inspect(self, node: NodeSession) -> State:
        """Look; how long the new ones hold is part of it, as an authority may end before them."""
        state = dict(super().inspect(node))
        self.replaces = True
        authority, days = self._issuer.facts.not_after, self._issuer.lifetime_days
        until = f"until its authority ends, {authority:%Y-%m-%d}"
        cut = authority < node.now() + timedelta(days=days)
        state["holds"] = until if cut else f"{days} days"
        return state

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied when what this very run issued is in place: a takeover issues nothing twice."""
        if not state["arrived"] or state["half"]:
            return None
        return Reason("InPlace", "the certificates that this run issued are in place")

    def describe(self, state: State) -> Sequence[Change]:
        """Show the present serials and their ends, and what the new certificates will say."""
        lines = [Line("hunk", f"@@ {self.layout.directory} @@")]
        for which, who in (("server", ", ".join(self._names)), ("client", "the node as a client")):
            name = join(which, f"{which}.crt")
            lines += [Line("del", f"{name}  {_present(state[which])}")] if state[which] else []
            lines.append(Line("add", f"{name}  a new serial, for {who}, {state['holds']}"))
            lines.append(Line("add", f"{join(which, which)}.key  a new key"))
        if state["trusted"] == self._issuer.trusted:
            lines.append(Line("context", "root.crt  stays"))
        else:
            lines.append(Line("add", "root.crt  the authorities that the environment trusts now"))
        says = f"A new certificate for {', '.join(self._names)}, {state['holds']}"
        return [Change(f"{says}, and a new pair for the node as a client.", tuple(lines))]


class ReloadCertificates:
    """Has the running server load its certificates anew, from the paths that it knows.

    Setting one path to itself reloads certificate, key and authorities, on 6.0 as on Valkey 8; open
    connections stay (REDIS_FACTS 2). It is one setting, which every version takes in one call.
    """

    key = "reload"
    title = "Reload"
    together = False

    def __init__(self, layout: Layout) -> None:
        self._path = layout.certificate

    def inspect(self, node: NodeSession) -> State:  # noqa: ARG002 -- the step's signature
        """There is nothing that an undo would need to know but the path."""
        return {"path": self._path}

    def satisfied(self, state: State) -> Reason | None:  # noqa: ARG002 -- the step's signature
        """Never: loading once more does no harm, and the server does not say what it has loaded."""
        return None

    def describe(self, state: State) -> Sequence[Change]:
        """Name the one setting."""
        lines = (
            Line("hunk", "@@ the running server, by CONFIG SET @@"),
            Line("context", f"tls-cert-file {state['path']}"),
        )
        return [Change("Loaded live: no restart, no connection is dropped.", lines)]

    def apply(self, node: NodeSession, state: State) -> str:
        """Reload; a pair that does not match is refused, and the server keeps the former one."""
        self._reload(node, state)
        return f"loaded by CONFIG SET, {node.runtime.clients} connections kept"

    def undo(self, node: NodeSession, before: State) -> str:  # noqa: ARG002 -- the step's signature
        """Nothing yet: the former certificates come back after this, and `settle` loads them."""
        return "to be loaded again once the former certificates are back"

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """Back, load what is in place again; the proof tells whether that was needed."""
        if goal is Goal.FORWARD or before is None:
            return None
        try:
            self._reload(node, before)
        except ServerRefused as refusal:
            return f"not loaded again: {refusal}"
        return "the former certificates are loaded again"

    @staticmethod
    def _reload(node: NodeSession, state: State) -> None:
        node.redis().execute("CONFIG", "SET", "tls-cert-file", state["path"])


def _present(stored: State) -> str:
    facts = LeafFacts.from_json(stored)
    return f"serial {facts.serial}, until {facts.not_after:%Y-%m-%d}"
