"""The running server, changed by CONFIG SET: nobody is disconnected."""

from collections.abc import Mapping, Sequence

from addons.encryption.serving import reload_lines, replaced, stale_certificate
from addons.encryption.steps.certificate import IssueCertificates
from addons.encryption.steps.leftover import LeftoverSessions
from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.errors import ServerRefused

# CONFIG SET takes several pairs, all or nothing, from 7.0 on; one pair before (REDIS_FACTS 1).
SEVERAL_PAIRS = (7, 0)
LIVE_TLS = (6, 2)

_FILES = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")
_PORTS = ("port", "tls-port")
# Before 6.2 the server takes these at its start only (REDIS_FACTS 1).
_AT_START = ("bind", *_PORTS)


class RunningServer:
    """Makes the running server say what is wanted.

    Args:
        wanted: Directive to value, in the order to set them: tls-port last, so that it listens
            only with its certificates (REDIS_FACTS 0.4).
        certificates: The step, inspected before this one, that may replace what the server loaded.
        leftover: The step that ends the sessions on a port that this one closes.
    """

    key = "runtime"
    title = "Apply"
    together = False

    def __init__(
        self,
        wanted: Mapping[str, str],
        *,
        certificates: IssueCertificates | None = None,
        leftover: LeftoverSessions | None = None,
    ) -> None:
        self._wanted = dict(wanted)
        self._certificates = certificates
        self._leftover = leftover

    def inspect(self, node: NodeSession) -> State:
        """Return the present values of what would be set, and whether certificates are renewed."""
        values = {name: node.runtime.config.get(name, "") for name in self._wanted}
        stale = stale_certificate(node, self._certificates, values, self._wanted)
        return {
            "values": values,
            "reload": bool(stale) or replaced(self._certificates),
            "stale": stale,
            "sessions": self._leftover.present(node) if self._leftover else [],
        }

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied when the server has the values, and its certificates, already."""
        if state["reload"] or differing(self._wanted, state["values"]):
            return None
        return Reason("InPlace", "the running server has these settings already")

    def describe(self, state: State) -> Sequence[Change]:
        """Show the settings that change."""
        lines = [Line("hunk", "@@ the running server, by CONFIG SET @@")]
        for name, value in differing(self._wanted, state["values"]).items():
            lines.append(Line("del", f"{name} {state['values'][name]}"))
            lines.append(Line("add", f"{name} {value}"))
        if state["reload"]:
            lines += reload_lines(state["stale"], self._wanted["tls-cert-file"])
        return [Change("Applied live: no restart, no interruption.", tuple(lines))]

    def apply(self, node: NodeSession, state: State) -> str:  # noqa: ARG002 -- the step's signature
        """Set them; who is on a port that is closed by it is asked in the same breath."""
        closing = self._leftover if self._leftover and self._leftover.closes(node) else None
        self._set(node, self._wanted, closing)
        port = self._wanted.get("tls-port", "0")
        listening = f"TLS listening on {port}" if port != "0" else "TLS closed"
        return f"CONFIG SET accepted, {listening}, {self._kept(node)} connections kept"

    @staticmethod
    def _kept(node: NodeSession) -> int:
        return node.runtime.clients

    def undo(self, node: NodeSession, before: State) -> str:
        """Set the values of before, in the opposite order: TLS stops listening first."""
        self._set(node, dict(reversed(before["values"].items())))
        return "CONFIG SET: the server has its former settings"

    def _set(
        self,
        node: NodeSession,
        values: Mapping[str, str],
        closing: LeftoverSessions | None = None,
    ) -> None:
        if node.server.product == "valkey" or node.server.version >= SEVERAL_PAIRS:
            _send(node, [_setting(values)], closing)
        elif node.server.version < LIVE_TLS:
            for name in (name for name in values if name not in _AT_START):
                _set_one(node, (name, values[name]))
        else:
            *pairs, ports = one_by_one(values, node.read_runtime().config)
            for pair in pairs:
                _set_one(node, *pair.items())
            _send(node, [_setting({name: value}) for name, value in ports.items()], closing)
        node.runtime_changed(values)

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """Look at the server again: what is not as it should be is set once more."""
        if before is None:
            return None
        wanted = self._wanted if goal is Goal.FORWARD else before["values"]
        served = wanted.get("tls-port", "0") != "0" and wanted.get("tls-cert-file")
        if goal is Goal.BACK and before["reload"] and served:
            # The former certificates came back after `undo` had set their paths.
            node.redis().execute("CONFIG", "SET", "tls-cert-file", wanted["tls-cert-file"])
        left = differing(wanted, node.read_runtime().config)
        if not left:
            return None
        self._set(node, wanted)
        if differing(wanted, node.read_runtime().config):
            raise StepFailed(
                Reason(
                    "ServerDiffers",
                    f"{node.name}: the server does not keep {', '.join(left)}.",
                    "Look whether something else configures this server, and run again.",
                )
            )
        return f"set once more: {', '.join(left)}"


def has_what_it_started_with(now: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Say whether all is as wanted that a server before 6.2 cannot change while TLS is on.

    What is left it takes live: who has to show a certificate, protocols, and other certificates at
    the same paths.
    """
    return all(now.get(each) == wanted[each] for each in (*_AT_START, *_FILES) if each in wanted)


def one_by_one(wanted: Mapping[str, str], now: Mapping[str, str]) -> list[Mapping[str, str]]:
    """Return what to set, one a call, on a server that knows only that; the ports come together.

    It loads certificate, key and authority anew at each call, so with TLS on it cannot move them
    to other paths (REDIS_FACTS 2): TLS stops listening meanwhile. The ports, in the order given,
    are to be set in one transaction: one may take the other's number over.
    """
    port = wanted.get("tls-port", now.get("tls-port", "0"))
    pairs = [{name: value} for name, value in wanted.items() if name not in _PORTS]
    moves = any(now.get(name, "") != wanted[name] for name in _FILES if name in wanted)
    first = [{"tls-port": "0"}] if moves or port == "0" else []
    ports = {name: wanted[name] for name in wanted if name in _PORTS}
    if "tls-port" not in ports and port != "0":
        ports["tls-port"] = port
    return [*first, *pairs, ports]


def _send(
    node: NodeSession, settings: Sequence[tuple[str, ...]], closing: LeftoverSessions | None
) -> None:
    """Send settings, all or nothing, and before them, in the same breath, ask who is there.

    Raises:
        ServerRefused: The server does not take one.
    """
    several = len(settings) > 1
    commands = [("MULTI",), *settings, ("EXEC",)] if several else settings
    asked = [("CLIENT", "LIST")] if closing else []
    answers = node.redis().pipeline([*asked, *commands])
    if closing:
        closing.note(answers.pop(0))
    told = [*answers, *(answers[-1] if several and isinstance(answers[-1], list) else ())]
    refused = next((each for each in told if isinstance(each, ServerRefused)), None)
    if refused is not None:
        raise refused


def _setting(values: Mapping[str, str]) -> tuple[str, ...]:
    return ("CONFIG", "SET", *(word for pair in values.items() for word in pair))


def _set_one(node: NodeSession, pair: tuple[str, str]) -> None:
    try:
        node.redis().execute("CONFIG", "SET", *pair)
    except ServerRefused:
        # 6.2 cannot unset a certificate's path.
        if pair[1] or pair[0] not in _FILES:
            raise


def differing(wanted: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return what is wanted and not so."""
    off = wanted.get("tls-port") == "0" and values.get("tls-port") == "0"
    return {
        name: value
        for name, value in wanted.items()
        # 6.2 cannot unset a certificate's path; with TLS off it does not matter.
        if values.get(name, "") != value and not (off and name in _FILES)
    }
