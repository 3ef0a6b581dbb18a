"""redis.conf: changed as little as possible, and put back line by line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from addons.encryption.steps.base import Settled
from addons.engine.step import Change, Goal, Line, State, StepFailed
from addons.session import NodeSession
from instances.nodeconf.facts import ServerFacts
from instances.nodeconf.redis_conf import diff, edit, merge_baselines, restore
from instances.reason import Reason
from instances.remote import files

BACKUP = "redis.conf.before"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A new content of the file.

    Args:
        baseline: What `restore` needs to lead back from it; empty where the way back is an edit.
        left: Lines of ours that somebody changed since and that stay, as sentences.
    """

    content: bytes
    baseline: Mapping[str, Any]
    left: tuple[str, ...] = ()


Rewrite = Callable[[bytes], Rewritten]


def install_directives(wanted: Mapping[str, str | None], server: ServerFacts) -> Rewrite:
    """Return the rewriting that makes the file say what is wanted."""

    @lru_cache(maxsize=4)
    def rewrite(content: bytes) -> Rewritten:
        edited = edit(
            content,
            wanted,
            includes=server.config.includes,
            command_line=server.command_line,
        )
        return Rewritten(edited.content, edited.baseline)

    return rewrite


def restore_directives(
    baseline: Mapping[str, Any], *, accepted: Mapping[str, str | None] | None = None
) -> Rewrite:
    """Return the rewriting that leads back to what stood there before the add-on.

    Args:
        baseline: Of the edits that led here.
        accepted: Directives that are wanted by now, though an operator may have written them.
    """

    @lru_cache(maxsize=4)
    def rewrite(content: bytes) -> Rewritten:
        restored = restore(content, dict(baseline), accepted=accepted or {})
        return Rewritten(restored.content, {}, tuple(restored.left))

    return rewrite


class ConfigurationFile(Settled):
    """Edits the server's main configuration file.

    Args:
        rewrite: From the file as it is to the file as it should be.
        back: How an undo leads back where others have edited the file since: from a before-state
            to a rewriting.
    """

    key = "configuration"
    title = "Configuration"

    def __init__(self, rewrite: Rewrite, *, back: Callable[[State], Rewrite]) -> None:
        self._rewrite = rewrite
        self._back = back

    def inspect(self, node: NodeSession) -> State:
        """Plan the edit on the file as the facts saw it."""
        config = node.server.config
        new = self._rewrite(config.content)
        return {
            "path": config.path,
            "before": files.sha256(config.content),
            "after": files.sha256(new.content),
            "baseline": dict(new.baseline),
            "left": list(new.left),
            "diff": [[x.kind, x.text] for x in diff(config.content, new.content, config.path)],
        }

    def satisfied(self, state: State) -> Reason | None:
        """Satisfied when the file says it already."""
        if state["before"] != state["after"]:
            return None
        return Reason("InPlace", f"{state['path']} says so already")

    def describe(self, state: State) -> Sequence[Change]:
        """Show the difference, secrets masked."""
        lines = tuple(Line(kind, text) for kind, text in state["diff"])
        return [Change(" ".join([f"{state['path']}: {_count(lines)}.", *state["left"]]), lines)]

    def apply(self, node: NodeSession, state: State) -> str:
        """Replace the file, if it is still the one that was looked at; the old one is kept."""
        seen = node.server.config.content
        new = self._rewrite(seen).content
        node.host.run(
            files.replace_command(
                state["path"],
                new,
                seen=seen,
                keep=f"{node.workspace}/{BACKUP}",
            )
        )
        node.configuration_changed(new)
        lines = [Line(kind, text) for kind, text in state["diff"]]
        return " ".join([f"{state['path']}: {_count(lines)}", *state["left"]])

    def undo(self, node: NodeSession, before: State) -> str:
        """Put the kept file back, or lead line by line back where others edited meanwhile."""
        path = before["path"]
        now, kept = node.host.read_files([path, f"{node.workspace}/{BACKUP}"])
        content = now.content or b""
        seen = files.sha256(content)
        if seen == before["before"]:
            node.configuration_changed(content)
            return f"{path} is as it was"
        left: tuple[str, ...] = ()
        untouched = files.sha256(kept.content or b"") == before["before"]
        if seen == before["after"] and untouched:
            old = kept.content or b""
        else:
            back = self._back(before)(content)
            old, left = back.content, back.left
        node.host.replace_file(path, old, content)
        node.configuration_changed(old)
        return " ".join([f"{path} was put back", *left])

    def settle(self, node: NodeSession, goal: Goal, before: State | None) -> str | None:
        """Make sure that the file still says it: a CONFIG REWRITE meanwhile may have erased it."""
        if goal is Goal.BACK or before is None:
            return None
        path = node.server.config.path
        # Mostly it is as it was written: then its digest is enough, and the file stays there.
        if node.host.run(files.digest_command(path)).text.split(" ")[0] == before["after"]:
            return None
        content = node.host.read_files([path])[0].content or b""
        if self._rewrite(content).content == content:
            return None
        raise StepFailed(
            Reason(
                "FileChanged",
                f"{node.name}: {path} was changed by somebody else during the run.",
                "Find out who writes it (a configuration management, a Sentinel), and run again.",
            )
        )


def merge_configuration(first: State, later: State) -> State:
    """Fold two successive edits' before-states into the first one's way back."""
    return {**first, "baseline": merge_baselines(first["baseline"], later["baseline"])}


def _count(lines: Sequence[Line]) -> str:
    added = sum(line.kind == "add" for line in lines)
    removed = sum(line.kind == "del" for line in lines)
    changed = min(added, removed)
    parts = [(added - changed, "added"), (changed, "changed"), (removed - changed, "removed")]
    said = [f"{n} line{'s' * (n != 1)} {verb}" for n, verb in parts if n]
    return ", ".join(said) or "unchanged"
