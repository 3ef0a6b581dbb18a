"""Certificates on the node: issued and put in place, or taken away."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from addons.encryption.intact import changed_since
from addons.encryption.issuer import Issuer
from addons.encryption.layout import (
    FILES,
    Layout,
    archive,
    back_command,
    finish_command,
    list_command,
    parse_list,
    put_command,
    remove_command,
)
from addons.encryption.steps.base import Settled
from addons.engine.step import Change, Line, State
from addons.pki.errors import CertificateError
from addons.pki.facts import LeafFacts, read_certificate
from addons.pki.leaf import LeafRequest
from addons.session import NodeSession
from instances.reason import Reason

_AGES = frozenset({"Expired", "NearingExpiry", "NotYetValid"})
"""Reasons that time brings: to issue anew, but nobody has changed anything."""


class _Certificates(Settled):
    """What issuing and removing share: looking, and the way back."""

    key = "certificate"
    title = "Certificate"
    problems: tuple[Reason, ...] = ()
    in_place: tuple[str, str] | None = None

    def __init__(self, directory: str) -> None:
        self.layout = Layout(directory)

    def inspect(self, node: NodeSession) -> State:
        """Look at the directory; `current` is what its server certificate says."""
        state: dict[str, Any] = parse_list(node.host.run(list_command(self.layout.directory)).text)
        state |= {"directory": self.layout.directory, "server": None, "client": None}
        state |= {"trusted": "", "client_trusted": ""}
        if state["links"]:
            layout = self.layout
            paths = [layout.certificate, layout.trusted, layout.client_certificate]
            read = node.host.read_files([*paths, layout.client_trusted])
            server, trusted, client, client_trusted = (each.content or b"" for each in read)
            state["server"], state["client"] = _facts(server), _facts(client)
            state["trusted"] = trusted.decode("ascii", "replace")
            state["client_trusted"] = client_trusted.decode("ascii", "replace")
        return state

    def undo(self, node: NodeSession, before: State) -> str:
        """Swap back to the generation that was there, or leave nothing."""
        node.host.run(
            back_command(
                self.layout.directory,
                old=before["generation"],
                workspace=node.workspace,
                created=before["missing"],
            )
        )
        if before["generation"]:
            return "the previous certificates are in place again"
        return "the certificates were removed"


class IssueCertificates(_Certificates):
    """A server certificate and the node's own client pair, from the environment's authority.

    After `inspect` or `apply`, ``in_place`` are the fingerprints of the server's and the client's
    certificate, where they are as they should be. After `inspect`, ``problems`` say what stands
    where they belong, and ``replaces`` whether the server has to load other certificates from the
    same paths.
    """

    replaces: bool = False

    def __init__(self, directory: str, *, issuer: Issuer, names: Sequence[str], group: str) -> None:
        super().__init__(directory)
        self._issuer = issuer
        self._names = tuple(names)
        self._group = group

    def inspect(self, node: NodeSession) -> State:
        """Look, and say why the certificates there do not do."""
        state = dict(super().inspect(node))
        known = node.brief.certificates
        now = node.now()
        state["arrived"], state["half"] = self._progress(node, state)
        changed = changed_since(state, known=known, trusted=self._issuer.trusted, group=self._group)
        unfit = [
            *self._why(state, "server", self._server_request(node), now, known),
            *self._why(state, "client", self._issuer.client_request(node.name), now, known),
        ]
        state["changed"] = [[line.kind, line.text] for line in changed]
        state["unfit"] = [reason.message for reason in unfit if reason.code not in _AGES]
        state["reasons"] = [
            *(line.text for line in changed if line.kind == "del"),
            *(reason.message for reason in unfit),
        ]
        if not state["reasons"]:
            self.in_place = (
                state["server"]["fingerprint_sha256"],
                state["client"]["fingerprint_sha256"],
            )
        begun = "certificate" in node.brief.begun
        loaded = state["generation"] or self._was_here(node)
        self.replaces = bool(loaded and (state["reasons"] or begun))
        in_the_way = [*state["strangers"], *self._of_another(node, state)]
        self.problems = tuple(self._in_the_way(node, each) for each in in_the_way)
        return state

    def _was_here(self, node: NodeSession) -> bool:
        """Say whether the server has loaded what the panel put here, though it be deleted since."""
        return node.brief.baseline.get("certificate", {}).get("directory") == self.layout.directory

    @staticmethod
    def _progress(node: NodeSession, state: State) -> tuple[bool, bool]:
        """Say whether this run's own pair is linked to already, and whether that broke off."""
        begun, generation = node.brief.begun.get("certificate"), state["generation"]
        if begun is None or not state["server"] or generation == begun["generation"]:
            return False, False
        if state["server"]["fingerprint_sha256"] not in node.brief.certificates:
            return False, False
        client = state["links"].get("client") == f"generations/{generation}/client"
        return True, not client or state["generations"] != [generation]

    @staticmethod
    def _of_another(node: NodeSession, state: State) -> Sequence[str]:
        """Return the links that are in Redoubt's manner and not this node's: another server's."""
        brief = node.brief
        ours = "certificate" in brief.baseline or "certificate" in brief.begun
        fingerprint = (state["server"] or {}).get("fingerprint_sha256")
        return () if ours or fingerprint in brief.certificates else sorted(state["links"])

    def _in_the_way(self, node: NodeSession, name: str) -> Reason:
        return Reason(
            "PathTaken",
            f"{node.name}: {self.layout.directory}/{name} is there already, and not this node's.",
            "Choose another directory.",
        )

    def _why(
        self,
        state: State,
        which: str,
        request: LeafRequest,
        now: datetime,
        known: Mapping[str, str],
    ) -> list[Reason]:
        """Say why a certificate does not do; one that is not ours need not be judged further.

        Neither does one that is gone from where it was: as a difference that is told already.
        """
        facts = LeafFacts.from_json(state[which]) if state[which] else None
        if facts is None and state["generation"]:
            return []
        if facts is not None and facts.fingerprint_sha256 not in known:
            return []
        return self._issuer.why_reissue(facts, request, now)

    def _server_request(self, node: NodeSession) -> LeafRequest:
        return self._issuer.request(node.name, self._names)

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied while both certificates are ours, right and far from expiry."""
        if state["reasons"] or state["half"]:
            return None
        return Reason("InPlace", f"the certificates hold until {state['server']['not_after']}")

    def describe(self, state: State) -> Sequence[Change]:
        """Name the files, what is wrong with those there, and what the certificate will say."""
        replaces = bool(state["generation"])
        wrong = [
            *(Line(kind, text) for kind, text in state["changed"]),
            *(Line("del", text) for text in state["unfit"] if replaces),
        ]
        lines = [
            Line("hunk", f"@@ {self.layout.directory} @@"),
            *wrong,
            *(Line("context" if replaces else "add", name) for name in FILES),
        ]
        says = (
            f"{len(FILES)} files are {'replaced' if replaces else 'new'}: a certificate for "
            f"{', '.join(self._names)}, {self._issuer.lifetime_days} days."
        )
        return [Change(says, tuple(lines))]

    def apply(self, node: NodeSession, state: State) -> str:
        """Issue both pairs, record them, then send them in one piece."""
        if state["half"]:
            return self._finish(node, state["generation"])
        now = node.now()
        server = self._issuer.issue(self._server_request(node), now)
        client = self._issuer.issue(self._issuer.client_request(node.name), now)
        node.issued([server, client])
        generation = server.public.serial[-16:]
        node.host.run(
            put_command(
                self.layout.directory,
                new=generation,
                old=state["generation"],
                workspace=node.workspace,
                archive=archive(
                    server=server,
                    client=client,
                    trusted=self._issuer.trusted,
                    group=self._group,
                    generation=generation,
                    now=now,
                ),
            )
        )
        self.in_place = (server.public.fingerprint_sha256, client.public.fingerprint_sha256)
        return f"certificate {_short(self.in_place[0])} written, readable by the server only"

    def _finish(self, node: NodeSession, generation: str) -> str:
        """Finish what a killed worker began: its certificates are there, none is issued again."""
        node.host.run(
            finish_command(
                self.layout.directory,
                new=generation,
                old=node.brief.begun["certificate"]["generation"],
                workspace=node.workspace,
            )
        )
        self.in_place = fingerprints_on_file(node, self.layout)
        return f"certificate {_short(self.in_place[0])} was there already and is in place"


class RemoveCertificates(_Certificates):
    """Takes away what `IssueCertificates` put there.

    Args:
        created: The directories that were made for it, the deepest first.
        key: Of the step, where a plan has another one for certificates.
    """

    def __init__(
        self, directory: str, *, created: Sequence[str], key: str = _Certificates.key
    ) -> None:
        super().__init__(directory)
        self.key = key
        self._created = tuple(created)

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied when nothing of ours is there."""
        return None if state["links"] else Reason("Gone", "there are no certificates of ours")

    def describe(self, state: State) -> Sequence[Change]:  # noqa: ARG002 -- the step's signature
        """Name the files that go."""
        lines = [
            Line("hunk", f"@@ {self.layout.directory} @@"),
            *(Line("del", name) for name in FILES),
        ]
        return [Change(f"{len(FILES)} files are removed.", tuple(lines))]

    def apply(self, node: NodeSession, state: State) -> str:  # noqa: ARG002 -- the step's signature
        """Move them to the workspace, from where an undo brings them back."""
        node.host.run(
            remove_command(self.layout.directory, workspace=node.workspace, created=self._created)
        )
        return "the certificates were removed"


def merge_certificates(first: State, later: State) -> State:
    """Fold two successive before-states: what was made is where the later one put it."""
    if first["directory"] == later["directory"]:
        return first
    missing = dict.fromkeys([*later["missing"], *first["missing"]])
    return {**later, "generation": "", "missing": list(missing)}


def fingerprints_on_file(node: NodeSession, layout: Layout) -> tuple[str, str]:
    """Return the fingerprints of the server's and the client's certificate in their files.

    Empty where there is no certificate: what the server has loaded outlives its file.
    """
    read = node.host.read_files([layout.certificate, layout.client_certificate])
    server, client = ((_facts(each.content) or {}) for each in read)
    return server.get("fingerprint_sha256", ""), client.get("fingerprint_sha256", "")


def _short(fingerprint: str) -> str:
    return f"{fingerprint[:5]}:…:{fingerprint[-2:]}"


def _facts(content: bytes | None) -> dict[str, Any] | None:
    if not content:
        return None
    try:
        return read_certificate(content).as_json()
    except CertificateError:
        return None
