"""Restarting a server: its file checked beforehand, the new process awaited as its data needs."""

import time

from addons.engine.step import State, StepFailed
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.config_check import dry_run_command, parse_dry_run
from instances.reason import Reason
from instances.remote import files
from instances.remote.errors import RemoteError, ServerRefused
from instances.runtime import parse_info

WAIT_SECONDS = 90.0
LOADED_BYTES_PER_SECOND = 20 * 1024 * 1024
"""A slow disk's pace; the guard's and our own patience grow with the data by it."""

_POLL_SECONDS = 0.05
_UNIT_LOOK_SECONDS = 1.0
_TIMED_OUT = 124  # Of timeout(1).
# systemd refuses the sixth start within ten seconds, unless the count is reset. With Type=notify
# `restart` returns once all data is loaded: a server that is quick is awaited so, without polling,
# and the unit's failure is told at once; for one that loads long, the job goes on without us.
_RESTART = 'systemctl reset-failed -- "$1" 2>/dev/null; exec timeout 5 systemctl restart -- "$1"'


def check_file(node: NodeSession, *, tls: bool) -> None:
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


def restart_server(node: NodeSession, loading: int) -> float:
    """Restart, and return the seconds until the new server answered."""
    old = _run_id(node)
    node.forget_server()
    began = time.monotonic()
    argv = ("bash", "-c", _RESTART, "restart", node.server.unit)
    node.host.run(Command(argv, ok=frozenset({0, _TIMED_OUT})))
    wait_for_server(node, old, began + WAIT_SECONDS + loading)
    return time.monotonic() - began


def wait_for_server(node: NodeSession, old: str, deadline: float) -> None:
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


def memory_used(node: NodeSession) -> int:
    return int(node.runtime.info.get("used_memory", "0"))


def loading_seconds(node: NodeSession, before: State) -> int:
    """Return how long loading may take, by the data's size now or, of a server down, before."""
    return max(memory_used(node), int(before.get("memory", 0))) // LOADED_BYTES_PER_SECOND


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


def _free_port(node: NodeSession) -> int:
    taken = {entry.port for entry in node.facts.listening}
    return next(port for port in range(64999, 1024, -1) if port not in taken)


def _not_back(node: NodeSession, missing: str) -> StepFailed:
    return StepFailed(
        Reason(
            "NotBack",
            f"{node.name}: the server did not answer after its restart: {missing}",
            f"journalctl -u {node.server.unit} on the node says why.",
        )
    )
