"""A checked restart, where the server cannot take the change live or the operator asks for one."""

import time
from collections.abc import Mapping, Sequence

from addons.encryption.guard import arm_command, disarm_command
from addons.encryption.steps.certificate import IssueCertificates
from addons.encryption.steps.configuration import BACKUP
from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.config_check import dry_run_command, parse_dry_run
from instances.reason import Reason
from instances.remote import files
from instances.remote.errors import RemoteError, ServerRefused

WAIT_SECONDS = 90.0
_POLL_SECONDS = 0.05
TYPICAL_INTERRUPTION_MS = 70


class Restart:
    """Restarts the server so that it runs with the file as it now is.

    Args:
        wanted: Directive to value that the server should have afterwards.
        tls_port: The port that tells whether TLS is on, where CONFIG is forbidden.
        certificates: The step, inspected before this one, that may replace what the server loaded.
    """

    key = "restart"
    title = "Restart"

    def __init__(
        self,
        wanted: Mapping[str, str],
        *,
        tls_port: int,
        certificates: IssueCertificates | None = None,
    ) -> None:
        self._wanted = dict(wanted)
        self._tls_port = tls_port
        self._certificates = certificates

    def inspect(self, node: NodeSession) -> State:
        """Return what the server runs with, and whether certificates are renewed."""
        return {
            "running": self._running(node),
            "pid": node.server.pid,
            "reload": self._certificates is not None and self._certificates.replaces,
        }

    def _running(self, node: NodeSession) -> dict[str, str]:
        """Return the running values; where CONFIG is forbidden, whether the TLS port listens."""
        runtime = node.read_runtime()
        if runtime.config_refused is None:
            return {name: runtime.config.get(name, "") for name in self._wanted}
        return {"listening": str(_listens(node, self._tls_port))}

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied when it runs with the wanted settings and certificates."""
        if state["reload"] or _differs(state["running"], self._wanted):
            return None
        return Reason("InPlace", "the running server has these settings already")

    def describe(self, state: State) -> Sequence[Change]:
        """Show what the server will run with."""
        running = state["running"]
        lines = [Line("hunk", "@@ the running server, by a restart @@")]
        for name, value in self._wanted.items():
            if running.get(name, "") != value:
                lines.append(Line("del", f"{name} {running.get(name, '')}"))
                lines.append(Line("add", f"{name} {value}"))
        return [
            Change(
                "One restart, checked beforehand and guarded.",
                tuple(lines),
                interrupts=TYPICAL_INTERRUPTION_MS,
            )
        ]

    def apply(self, node: NodeSession, state: State) -> str:  # noqa: ARG002 -- the step's signature
        """Check the file, arm the guard, restart, wait for an answer, disarm."""
        seconds = self._restart(node, tls=self._wanted["tls-port"] != "0", guard=True)
        if _differs(self._running(node), self._wanted):
            raise _differs_still(node)
        return f"restarted, clients were interrupted for about {seconds * 1000:.0f} ms"

    def undo(self, node: NodeSession, before: State) -> str:  # noqa: ARG002 -- the step's signature
        """Nothing yet: the restart comes when the file is back, in `settle`."""
        fired = node.host.run(disarm_command(node.run, workspace=node.workspace)).text
        return "the guard had put the old file back" if "fired" in fired else "to be restarted"

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """Forward, see that no guard is left armed; back, restart unless it runs as before."""
        if before is None:
            return None
        if goal is Goal.FORWARD:
            self._disarm(node)
            return None
        former = before["running"]
        try:
            if self._running(node) == former and not before["reload"]:
                return None
        except RemoteError:
            node.forget_server()  # It is down: a restart is what it needs.
        tls = former.get("tls-port", "0") != "0" or former.get("listening") == "True"
        seconds = self._restart(node, tls=tls, guard=False)
        if self._running(node) != former:
            raise _differs_still(node)
        return f"restarted with the former configuration, about {seconds * 1000:.0f} ms"

    def _restart(self, node: NodeSession, *, tls: bool, guard: bool) -> float:
        """Restart, and return the seconds until it answered again."""
        self._check(node, tls=tls)
        if guard:
            node.host.run(self._arm(node))
        node.forget_server()
        began = time.monotonic()
        # systemd refuses the sixth start within ten seconds, unless the count is reset.
        script = 'systemctl reset-failed -- "$1" 2>/dev/null; exec systemctl restart -- "$1"'
        node.host.run(
            Command(("bash", "-c", script, "restart", node.server.unit), timeout=WAIT_SECONDS)
        )
        self._wait(node, began + WAIT_SECONDS)
        seconds = time.monotonic() - began
        if guard:
            self._disarm(node)
        return seconds

    @staticmethod
    def _disarm(node: NodeSession) -> None:
        """Disarm the guard, also one that a killed worker left.

        Raises:
            StepFailed: It has put the old file back already.
        """
        said = node.host.run(disarm_command(node.run, workspace=node.workspace)).text
        if "fired" in said:
            raise StepFailed(
                Reason(
                    "GuardFired",
                    f"{node.name}: the panel was silent for too long, so the node has put its "
                    "former configuration back by itself.",
                    "Run again.",
                )
            )

    @staticmethod
    def _arm(node: NodeSession) -> Command:
        path = node.server.config.path
        content = node.host.read_files([path])[0].content or b""
        return arm_command(
            node.run,
            workspace=node.workspace,
            server=node.server.unit,
            config=path,
            backup=f"{node.workspace}/{BACKUP}",
            after=files.sha256(content),
        )

    @staticmethod
    def _check(node: NodeSession, *, tls: bool) -> None:
        """Start the server's program with the file, without listening, and see it through.

        Raises:
            StepFailed: It would not start with it.
        """
        server = node.server
        directory = f"/run/redoubt-check-{node.run}"
        made = files.directory_command(
            directory, mode=0o700, owner=server.unit_user, group=server.unit_group
        )
        command = dry_run_command(
            server.exe,
            server.config.path,
            server.unit_user,
            server.unit_group,
            tls_port=_free_port(node) if tls else 0,
            directory=directory,
        )
        removed = Command(("rm", "-rf", "--", directory))
        problem = parse_dry_run(node.host.run_all([made, command, removed])[1])
        if problem is not None:
            raise StepFailed(
                Reason(
                    problem.reason,
                    f"{node.name}: the server would not start with this file: {problem.message}",
                    "Mend what it names; nothing was restarted.",
                )
            )

    @staticmethod
    def _wait(node: NodeSession, deadline: float) -> None:
        while True:
            try:
                node.redis().execute("PING")
            except ServerRefused as refusal:
                if refusal.reason != "Loading":
                    return
            except RemoteError as error:
                if time.monotonic() > deadline:
                    raise StepFailed(
                        Reason(
                            "NotBack",
                            f"{node.name}: the server did not answer after its restart: {error}",
                            f"journalctl -u {node.server.unit} on the node says why.",
                        )
                    ) from error
            else:
                return
            node.forget_server()
            time.sleep(_POLL_SECONDS)


def _listens(node: NodeSession, port: int) -> bool:
    script = 'ss -ltnH "sport = :$1"'
    found = node.host.run(Command(("bash", "-c", script, "listens", str(port)))).text
    return bool(found.strip())


def _differs(running: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    if "listening" in running:
        return running["listening"] != str(wanted["tls-port"] != "0")
    return any(running.get(name, "") != value for name, value in wanted.items())


def _free_port(node: NodeSession) -> int:
    taken = {entry.port for entry in node.facts.listening}
    return next(port for port in range(64999, 1024, -1) if port not in taken)


def _differs_still(node: NodeSession) -> StepFailed:
    return StepFailed(
        Reason(
            "ServerDiffers",
            f"{node.name}: the server restarted, but without the settings of its file.",
            "Look whether its unit starts it with another file or with overriding options.",
        )
    )
