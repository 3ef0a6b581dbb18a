"""A Sentinel's file: edited while the Sentinel is stopped, for it writes its file itself."""

from collections.abc import Callable, Mapping, Sequence

from addons.encryption.probe import PLAIN_OPEN, answer_on
from addons.encryption.serving import reload_lines, replaced, stale_certificate
from addons.encryption.steps.certificate import IssueCertificates
from addons.encryption.steps.configuration import Rewrite
from addons.encryption.watching import known_on_file, wait_until_whole
from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.nodeconf.command import Command
from instances.nodeconf.redis_conf import EMPTY_BASELINE, diff
from instances.reason import Reason
from instances.remote import files

_TRIES = 5
_WRITTEN_MEANWHILE = 65
_DOES_NOT_START = 66

# In one go, and deaf to a lost connection: whatever becomes of the panel, the Sentinel is started
# again, with its old file where it does not start with the new one. Written as files.REPLACE does.
_MOVE = r"""
set -u
trap '' HUP PIPE
unit=$1 expected=$2 workspace=$4 path=$(readlink -e -- "$3") || exit 67
mkdir -p -m 0700 -- "$workspace" && cat >"$workspace/sentinel.new" || exit 67
put() {
  local fresh=$path.redoubt.$$
  rm -f -- "$fresh"
  (set -eC; exec 3>"$fresh"; cp --attributes-only --preserve=all -- "$path" /proc/self/fd/3
    cat -- "$1" >&3; sync -- /proc/self/fd/3; mv -fT -- "$fresh" "$path")
}
start() { systemctl reset-failed -- "$unit" 2>/dev/null; systemctl start -- "$unit"; }
systemctl stop -- "$unit"
code=0
seen=$(sha256sum <"$path")
if [ "${seen%% *}" != "$expected" ]; then
  code=65
elif ! { cat -- "$path" >"$workspace/sentinel.old" && put "$workspace/sentinel.new"; }; then
  code=67
fi
if ! start; then
  [ "$code" = 0 ] && put "$workspace/sentinel.old"
  code=66
  start
fi
rm -f -- "$workspace/sentinel.new" "$workspace/sentinel.old"
exit "$code"
"""


class SentinelFile:
    """Stops a Sentinel, edits its file and starts it again: it knows no CONFIG (REDIS_FACTS 4).

    After `inspect`, ``moves`` says whether anything is to be done.

    Args:
        rewrite: From the file as it is to the file as it should be.
        back: How an undo leads back, from a before-state to a rewriting.
        port: Where the Sentinel listens, over whichever transport.
        tls: Whether that is TLS afterwards.
        certificates: The step, inspected before this one, that may replace what it has loaded.
    """

    together = False
    key = "sentinel"
    title = "Sentinel"
    moves: bool = False

    def __init__(
        self,
        rewrite: Rewrite,
        *,
        back: Callable[[State], Rewrite],
        port: int,
        tls: bool,
        certificates: IssueCertificates | None = None,
    ) -> None:
        self._rewrite = rewrite
        self._back = back
        self._port = port
        self._tls = tls
        self._certificates = certificates

    def inspect(self, node: NodeSession) -> State:
        """Plan the edit on the file as the facts saw it, and hear what the Sentinel speaks."""
        config = node.server.config
        new = self._rewrite(config.content)
        speaks = self._heard(node)
        running = {"tls-port": str(self._port) if speaks == "tls" else "0"}
        wanted = {"tls-port": str(self._port) if self._tls else "0"}
        stale = stale_certificate(node, self._certificates, running, wanted)
        state: State = {
            "path": config.path,
            "edited": new.content != config.content,
            "baseline": dict(new.baseline or EMPTY_BASELINE),
            "left": list(new.left),
            # Its own lines change all the time, so those that stay are left out.
            "diff": [
                [each.kind, each.text]
                for each in diff(config.content, new.content, config.path)
                if each.kind in {"add", "del"}
            ],
            "speaks": speaks,
            "reload": bool(stale) or replaced(self._certificates),
            "stale": list(stale),
            "known": known_on_file(node.server),
        }
        self.moves = self.satisfied(state) is None
        return state

    def _heard(self, node: NodeSession) -> str:
        """Return ``tls``, ``plain``, or what else became of a connection."""
        said = answer_on(node, self._port)
        return "plain" if said in PLAIN_OPEN else said

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied when the file says it, and the Sentinel speaks so."""
        as_wanted = state["speaks"] == ("tls" if self._tls else "plain")
        if state["edited"] or state["reload"] or not as_wanted:
            return None
        return Reason("InPlace", "the Sentinel has these settings already")

    def describe(self, state: State) -> Sequence[Change]:
        """Show the lines that change, secrets masked."""
        lines = [Line("hunk", f"@@ {state['path']}, while the Sentinel is stopped @@")]
        lines += [Line(kind, text) for kind, text in state["diff"]]
        if state["reload"]:
            lines += reload_lines(state["stale"], "")
        says = (
            "The Sentinel is stopped, its file edited, and started: a moment each, one Sentinel "
            "after the other."
        )
        return [Change(" ".join([says, *state["left"]]), tuple(lines))]

    def apply(self, node: NodeSession, state: State) -> str:
        """Move it, and see that it knows whom it knew."""
        self._move(node, self._rewrite, tls=self._tls)
        return f"edited and started again, {_remembers(node, state['known'])}"

    def undo(self, node: NodeSession, before: State) -> str:
        """Lead its file line by line back, and start it."""
        content = node.host.read_files([before["path"]])[0].content or b""
        back = self._back(before)
        if back(content).content == content and self._heard(node) == before["speaks"]:
            node.configuration_changed(content)
            return "the Sentinel is as it was"
        self._move(node, back, tls=before["speaks"] == "tls")
        return f"edited back and started again, {_remembers(node, before['known'])}"

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """There is nothing to settle forward; back, certificates that came back after `undo`."""
        if goal is Goal.BACK and before is not None and before["reload"]:
            self._move(node, self._back(before), tls=before["speaks"] == "tls")
            return "started once more, with its former certificates"
        return None

    def _move(self, node: NodeSession, rewrite: Rewrite, *, tls: bool) -> None:
        """Stop, edit, start; once more where the Sentinel has written its file in between.

        Raises:
            StepFailed: It does not start so, or is not there afterwards.
        """
        path, code = node.server.config.path, _WRITTEN_MEANWHILE
        for _ in range(_TRIES):
            seen = node.host.read_files([path])[0].content or b""
            new = rewrite(seen).content
            node.forget_server()
            code = node.host.run(_move_command(node, seen, new)).code
            if code != _WRITTEN_MEANWHILE:
                break
        if code == _WRITTEN_MEANWHILE:
            raise StepFailed(_failure(node, "its file changes whenever it stops"))
        if code == _DOES_NOT_START:
            raise StepFailed(_failure(node, "it does not start with the new file"))
        node.configuration_changed(new)
        closed, opened = ("port", "tls-port") if tls else ("tls-port", "port")
        node.runtime_changed({closed: "0", opened: str(self._port)})


def _move_command(node: NodeSession, seen: bytes, new: bytes) -> Command:
    unit, path = node.server.unit, node.server.config.path
    argv = ("bash", "-c", _MOVE, "move", unit, files.sha256(seen), path, node.workspace)
    ok = frozenset({0, _WRITTEN_MEANWHILE, _DOES_NOT_START})
    return Command(argv, stdin=new, timeout=60.0, ok=ok)


def _remembers(node: NodeSession, known: Mapping[str, Sequence[int]]) -> str:
    """Say whom the Sentinel knows.

    Raises:
        StepFailed: Not all whom it knew before.
    """
    missing = wait_until_whole(node, known)
    if missing:
        raise StepFailed(_failure(node, missing))
    told = [f"{n} replicas and {m} other Sentinels of {name}" for name, (n, m) in known.items()]
    return f"it knows {', '.join(told) or 'nobody, as before'}"


def _failure(node: NodeSession, why: str) -> Reason:
    return Reason(
        "SentinelNotBack",
        f"{node.name}: the Sentinel is not as it should be after its restart: {why}.",
        f"journalctl -u {node.server.unit} and its log on the node say why.",
    )
