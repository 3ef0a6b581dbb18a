"""A checked restart, where the server cannot take the change live or the operator asks for one."""

import time
from collections.abc import Mapping, Sequence

from addons.encryption.guard import ALREADY_BACK, arm_command, disarm_command
from addons.encryption.steps.certificate import IssueCertificates
from addons.encryption.steps.configuration import BACKUP
from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.config_check import dry_run_command, parse_dry_run
from instances.reason import Reason
from instances.remote import files
from instances.remote.errors import RemoteError, ServerRefused
from instances.runtime import parse_info

WAIT_SECONDS = 90.0
TYPICAL_INTERRUPTION_MS = 70
LOADED_BYTES_PER_SECOND = 20 * 1024 * 1024
"""A slow disk's pace; the guard's and our own patience grow with the data by it."""

_POLL_SECONDS = 0.05
_UNIT_LOOK_SECONDS = 1.0
_TIMED_OUT = 124  # Of timeout(1).
# systemd refuses the sixth start within ten seconds, unless the count is reset. With Type=notify
# `restart` returns once all data is loaded: a server that is quick is awaited so, without polling,
# and the unit's failure is told at once; for one that loads long, the job goes on without us.
_RESTART = 'systemctl reset-failed -- "$1" 2>/dev/null; exec timeout 5 systemctl restart -- "$1"'


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
        reload = self._certificates is not None and self._certificates.replaces
        try:
            running = self._running(node)
        except RemoteError:
            node.forget_server()
            return {"running": {}, "pid": None, "reload": reload, "memory": 0, "down": True}
        return {
            "running": running,
            "pid": node.server.pid,
            "reload": reload,
            "memory": _memory(node),
        }

    def _running(self, node: NodeSession) -> dict[str, str]:
        """Return the running values; where CONFIG is forbidden, whether the TLS port listens."""
        runtime = node.read_runtime()
        if runtime.config_refused is None:
            return {name: runtime.config.get(name, "") for name in self._wanted}
        return {"listening": str(_listens(node, self._tls_port))}

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

    def apply(self, node: NodeSession, state: State) -> str:
        """Check the file, arm the guard, restart, wait for an answer, disarm."""
        self._check(node, tls=self._wanted["tls-port"] != "0")
        loading = _loading_seconds(node, state)
        self._arm(node, loading)
        seconds = self._restart(node, loading)
        self._disarm(node)
        if _differs(self._running(node), self._wanted):
            raise _differs_still(node)
        return f"restarted, clients were interrupted for about {seconds * 1000:.0f} ms"

    def undo(self, node: NodeSession, before: State) -> str:  # noqa: ARG002 -- the step's signature
        """Nothing yet: the restart comes when the file is back, in `settle`."""
        return "the guard had put the old file back" if _disarm(node) else "to be restarted"

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """Forward, see that no guard is left armed; back, restart unless it runs as before."""
        if before is None:
            return None
        if goal is Goal.FORWARD:
            self._disarm(node)
            return None
        former, loading = before["running"], _loading_seconds(node, before)
        try:
            if self._as_before(node, former) and not (before["reload"] or before.get("down")):
                # Where the guard has restarted it, it may still be loading.
                self._wait(node, "", time.monotonic() + WAIT_SECONDS + loading)
                return None
            down = False
        except RemoteError:
            node.forget_server()
            down = True
        complaint = self._complaint(node, tls=_with_tls(former), down=down)
        seconds = self._restart(node, loading)
        if not self._as_before(node, former):
            raise _differs_still(node)
        return f"restarted with the former configuration, about {seconds * 1000:.0f} ms{complaint}"

    def _as_before(self, node: NodeSession, former: Mapping[str, str]) -> bool:
        """Say whether the server runs as recorded; where it was down then, there is no telling.

        The recorded names count: a takeover may want fewer than the attempt that recorded them.
        """
        runtime = node.read_runtime()
        if former and ("listening" in former or runtime.config_refused is not None):
            return _listens(node, self._tls_port) == _with_tls(former)
        return all(runtime.config.get(name, "") == value for name, value in former.items())

    def _complaint(self, node: NodeSession, *, tls: bool, down: bool) -> str:
        """Check the file, and say what is wrong with it; a server that is up is not risked then."""
        try:
            self._check(node, tls=tls)
        except (StepFailed, RemoteError) as problem:
            if not down:
                raise
            return f", although the check before it said: {problem}"
        return ""

    def _restart(self, node: NodeSession, loading: int) -> float:
        """Restart, and return the seconds until the new server answered."""
        old = _run_id(node)
        node.forget_server()
        began = time.monotonic()
        argv = ("bash", "-c", _RESTART, "restart", node.server.unit)
        node.host.run(Command(argv, ok=frozenset({0, _TIMED_OUT})))
        self._wait(node, old, began + WAIT_SECONDS + loading)
        return time.monotonic() - began

    @staticmethod
    def _disarm(node: NodeSession) -> None:
        """Disarm the guard, also one that a killed worker left.

        Raises:
            StepFailed: It has put the old file back already.
        """
        if _disarm(node):
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

    @staticmethod
    def _check(node: NodeSession, *, tls: bool) -> None:
        """Start the server's program with the file, without listening, and see it through.

        Raises:
            StepFailed: It would not start with it.
        """
        server = node.server
        directory = f"/run/redoubt-check-{node.run}-{node.brief.node}"
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
    def _wait(node: NodeSession, old: str, deadline: float) -> None:
        """Wait for the new server; less and less often, so that its loading is not held up.

        Args:
            old: The run id of the server that is to go; it may still answer.

        Raises:
            StepFailed: It was not there by the deadline, or systemd has given it up.
        """
        began = time.monotonic()
        look = began + _UNIT_LOOK_SECONDS
        while (missing := _missing(node, old)) is not None:
            now = time.monotonic()
            if now > deadline or (now > look and _given_up(node)):
                raise _not_back(node, missing)
            if now > look:
                look = now + _UNIT_LOOK_SECONDS
            time.sleep(min(1.0, max(_POLL_SECONDS, (now - began) / 20)))


def _disarm(node: NodeSession) -> bool:
    """Disarm the guard, and say whether it has put the old file back."""
    command = disarm_command(node.run, node.brief.node, workspace=node.workspace)
    return "fired" in node.host.run(command).text


def _missing(node: NodeSession, old: str) -> str | None:
    """Return why the restarted server is not there yet; None where it answers."""
    try:
        info, pong = node.redis().pipeline([("INFO", "server"), ("PING",)])
    except ServerRefused as refusal:
        return str(refusal) if refusal.reason == "Loading" else None
    except RemoteError as error:
        node.forget_server()
        return str(error)
    # INFO is answered while data is loaded, PING is not.
    if isinstance(info, str) and old and parse_info(info).get("run_id") == old:
        return f"{node.name}: the former process has not ended yet"
    if isinstance(pong, ServerRefused) and pong.reason == "Loading":
        return str(pong)
    return None


def _run_id(node: NodeSession) -> str:
    """Return what tells this start of the server from the next; empty where it does not answer."""
    try:
        return parse_info(str(node.redis().execute("INFO", "server"))).get("run_id", "")
    except RemoteError:
        return ""


def _given_up(node: NodeSession) -> bool:
    """Say whether systemd neither runs the unit nor is about to."""
    show = ("systemctl", "show", "-p", "ActiveState", "-p", "Job", "--", node.server.unit)
    said = dict(line.split("=", 1) for line in node.host.run(Command(show)).text.split())
    return said["ActiveState"] in {"failed", "inactive"} and said.get("Job", "0") in {"", "0"}


def _memory(node: NodeSession) -> int:
    return int(node.runtime.info.get("used_memory", "0"))


def _loading_seconds(node: NodeSession, before: State) -> int:
    """Return how long loading may take, by the data's size now or, of a server down, before."""
    return max(_memory(node), int(before.get("memory", 0))) // LOADED_BYTES_PER_SECOND


def _listens(node: NodeSession, port: int) -> bool:
    script = 'ss -ltnH "sport = :$1"'
    found = node.host.run(Command(("bash", "-c", script, "listens", str(port)))).text
    return bool(found.strip())


def _differs(running: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    if "listening" in running:
        return running["listening"] != str(wanted["tls-port"] != "0")
    return any(running.get(name, "") != value for name, value in wanted.items())


def _with_tls(former: Mapping[str, str]) -> bool:
    return former.get("tls-port", "0") != "0" or former.get("listening") == "True"


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


def _not_back(node: NodeSession, missing: str) -> StepFailed:
    return StepFailed(
        Reason(
            "NotBack",
            f"{node.name}: the server did not answer after its restart: {missing}",
            f"journalctl -u {node.server.unit} on the node says why.",
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
