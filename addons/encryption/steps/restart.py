"""A checked restart, where the server cannot take the change live or the operator asks for one."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from addons.encryption.copies import is_linked
from addons.encryption.guard import ALREADY_BACK, arm_command, disarm_command
from addons.encryption.handing_over import hand_over
from addons.encryption.handover import hands_over
from addons.encryption.links import is_replica
from addons.encryption.party import Party
from addons.encryption.persistence import empty_afterwards
from addons.encryption.probe import PLAIN_OPEN, answer_on
from addons.encryption.restarting import (
    WAIT_SECONDS,
    check_file,
    loading_seconds,
    memory_used,
    restart_server,
    wait_for_server,
)
from addons.encryption.serving import reload_lines, replaced, stale_certificate
from addons.encryption.steps.certificate import IssueCertificates
from addons.encryption.steps.configuration import BACKUP
from addons.encryption.steps.link import wait_for_link
from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote import files
from instances.remote.errors import RemoteError

TYPICAL_INTERRUPTION_MS = 70


class Restart:
    """Restarts the server so that it runs with the file as it now is.

    Args:
        wanted: Directive to value that the server should have afterwards.
        tls_port: The port that tells whether TLS is on, where CONFIG is forbidden.
        plain_port: The one that tells whether plaintext is; 0 for none.
        party: The nodes of the run, of which one may have to stand in on the way back.
        certificates: The step, inspected before this one, that may replace what the server loaded.

    After `inspect`, ``due`` says whether there is to be a restart.
    """

    key = "restart"
    title = "Restart"
    together = False
    due: bool = False

    def __init__(
        self,
        wanted: Mapping[str, str],
        *,
        tls_port: int,
        plain_port: int,
        party: Party,
        certificates: IssueCertificates | None = None,
    ) -> None:
        self._wanted = dict(wanted)
        self._party = party
        self._tls_port = tls_port
        self._plain_port = plain_port
        self._certificates = certificates

    def inspect(self, node: NodeSession) -> State:
        """Return what the server runs with, and whether certificates are renewed."""
        state = self._inspected(node)
        self.due = self.satisfied(state) is None
        return state

    def _inspected(self, node: NodeSession) -> State:
        reload = replaced(self._certificates)
        try:
            running = self._running(node)
        except RemoteError:
            node.forget_server()
            down: dict[str, Any] = {"running": {}, "pid": None, "down": True, "linked": False}
            return {**down, "reload": reload, "memory": 0}
        stale = stale_certificate(node, self._certificates, running, self._wanted)
        return {
            "running": running,
            "pid": node.server.pid,
            "reload": reload or bool(stale),
            "stale": stale,
            "memory": memory_used(node),
            "linked": is_linked(node),
        }

    def _running(self, node: NodeSession) -> dict[str, str]:
        """Return the running values; where CONFIG is forbidden, what the ports answer."""
        runtime = node.read_runtime()
        if runtime.config_refused is None:
            return {name: runtime.config.get(name, "") for name in self._wanted}
        return self._heard(node)

    def _heard(self, node: NodeSession) -> dict[str, str]:
        speaks_tls = answer_on(node, self._tls_port) == "tls"
        plain = bool(self._plain_port) and answer_on(node, self._plain_port) in PLAIN_OPEN
        return {"listening": str(speaks_tls), "port": str(self._plain_port) if plain else "0"}

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied when it runs with the wanted settings and certificates."""
        if state.get("down") or state["reload"] or _differs(state["running"], self._wanted):
            return None
        return Reason("InPlace", "the running server has these settings already")

    def describe(self, state: State) -> Sequence[Change]:
        """Show what the server will run with."""
        running = state["running"]
        lines = [Line("hunk", "@@ the running server, by a restart @@")]
        for name, value in self._wanted.items():
            if _differs(running, self._wanted) and running.get(name, "") != value:
                lines.append(Line("del", f"{name} {running.get(name, '')}"))
                lines.append(Line("add", f"{name} {value}"))
        if state["reload"]:
            lines += reload_lines(state.get("stale", ()), self._wanted.get("tls-cert-file", ""))
        return [
            Change(
                "One restart, checked beforehand and guarded.",
                tuple(lines),
                interrupts=TYPICAL_INTERRUPTION_MS,
            )
        ]

    def apply(self, node: NodeSession, state: State) -> str:
        """Check the file, arm the guard, restart, wait for an answer, disarm."""
        check_file(node, tls=self._wanted["tls-port"] != "0")
        loading = loading_seconds(node, state)
        self._arm(node, loading)
        seconds = restart_server(node, loading)
        self._disarm(node)
        running = self._running(node)
        if _differs(running, self._wanted):
            raise _differs_still(node, running, self._wanted)
        return f"restarted, clients were interrupted for about {seconds * 1000:.0f} ms"

    def undo(self, node: NodeSession, before: State) -> str:  # noqa: ARG002 -- the step's signature
        """Nothing yet: the restart comes when the file is back, in `settle`."""
        return "the guard had put the old file back" if _disarm_guard(node) else "to be restarted"

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """Forward, see that no guard is left armed and a replica is linked as it was.

        Back, restart unless it runs as before. Its primary may not be back yet then.
        """
        if before is None:
            return None
        if goal is Goal.FORWARD:
            self._disarm(node)
            # An earlier attempt may have had it take a primary's role over since.
            if before["linked"] and is_replica(node):
                wait_for_link(node, node.runtime.info.get("master_host", ""))
            return None
        former, loading = before["running"], loading_seconds(node, before)
        try:
            if self._as_before(node, former) and not (before["reload"] or before.get("down")):
                # Where the guard has restarted it, it may still be loading.
                wait_for_server(node, "", time.monotonic() + WAIT_SECONDS + loading)
                return None
            down = False
        except RemoteError:
            node.forget_server()
            down = True
        complaint = self._complaint(node, tls=_with_tls(former), down=down)
        handed = "" if down else self._stood_in_for(node)
        seconds = restart_server(node, loading)
        if not self._as_before(node, former):
            raise _differs_still(node, self._running(node), former)
        took = f"about {seconds * 1000:.0f} ms"
        return f"{handed}restarted with the former configuration, {took}{complaint}"

    def _stood_in_for(self, node: NodeSession) -> str:
        """Have a replica stand in for who became a primary in this run, if any can.

        Raises:
            StepFailed: None can, and the restart would lose the data.
        """
        self._party.join(node)
        if not hands_over(node):
            return ""
        try:
            return f"{hand_over(node, self._party)}; "
        except (StepFailed, RemoteError) as problem:
            if any(empty_afterwards(node)):
                raise
            return f"{problem} "

    def _as_before(self, node: NodeSession, former: Mapping[str, str]) -> bool:
        """Say whether the server runs as recorded; where it was down then, there is no telling.

        The recorded names count: a takeover may want fewer than the attempt that recorded them.
        """
        runtime = node.read_runtime()
        if former and ("listening" in former or runtime.config_refused is not None):
            heard = self._heard(node)
            same_port = former.get("port", heard["port"]) == heard["port"]
            return same_port and (heard["listening"] == "True") == _with_tls(former)
        return all(runtime.config.get(name, "") == value for name, value in former.items())

    def _complaint(self, node: NodeSession, *, tls: bool, down: bool) -> str:
        """Check the file, and say what is wrong with it; a server that is up is not risked then."""
        try:
            check_file(node, tls=tls)
        except (StepFailed, RemoteError) as problem:
            if not down:
                raise
            return f", although the check before it said: {problem}"
        return ""

    @staticmethod
    def _disarm(node: NodeSession) -> None:
        """Disarm the guard, also one that a killed worker left.

        Raises:
            StepFailed: It has put the old file back already.
        """
        if _disarm_guard(node):
            raise _guard_fired(node)

    @staticmethod
    def _arm(node: NodeSession, loading: int) -> None:
        """Arm the guard.

        Raises:
            StepFailed: One that a killed worker left has put the old file back already.
        """
        path = node.server.config.path
        content = node.host.read_files([path])[0].content or b""
        command = arm_command(
            node.run,
            node.brief.node,
            workspace=node.workspace,
            server=node.server.unit,
            config=path,
            backup=f"{node.workspace}/{BACKUP}",
            after=files.sha256(content),
            loading=loading,
        )
        if node.host.run(command).code == ALREADY_BACK:
            raise _guard_fired(node)


def _disarm_guard(node: NodeSession) -> bool:
    """Disarm the guard, and say whether it has put the old file back."""
    command = disarm_command(node.run, node.brief.node, workspace=node.workspace)
    return "fired" in node.host.run(command).text


def _differs(running: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    if "listening" in running:
        plain = wanted.get("port", running.get("port")) != running.get("port")
        return plain or running["listening"] != str(wanted["tls-port"] != "0")
    return any(running.get(name, "") != value for name, value in wanted.items())


def _with_tls(former: Mapping[str, str]) -> bool:
    return former.get("tls-port", "0") != "0" or former.get("listening") == "True"


def _differs_still(
    node: NodeSession, running: Mapping[str, str], wanted: Mapping[str, str]
) -> StepFailed:
    told = [
        f"{name} is “{running[name]}”, not “{value}”"
        for name, value in wanted.items()
        if name in running and running[name] != value
    ]
    return StepFailed(
        Reason(
            "ServerDiffers",
            f"{node.name}: the server restarted, but without the settings of its file"
            f"{': ' if told else ''}{', '.join(told)}.",
            "Look whether its unit starts it with another file or with overriding options.",
        )
    )


def _guard_fired(node: NodeSession) -> StepFailed:
    return StepFailed(
        Reason(
            "GuardFired",
            f"{node.name}: the panel was silent for too long, so the node has put its "
            "former configuration back by itself.",
            "Run again.",
        )
    )
