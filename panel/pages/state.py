"""States as pages show them: a kind that chooses the colour, always with a word beside it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from addons.engine.conditions import decisive
from addons.health import counts_since
from addons.models import Installation, NodeInstallation, Run, RunNode
from instances.models import Node
from instances.reached import NO_ANSWER
from panel.pages.ages import age

OK, WAIT, BAD, RUN, UNKNOWN = "ok", "wait", "bad", "run", "unknown"
_GRAVITY = (BAD, WAIT, UNKNOWN, RUN, OK)


@dataclass(frozen=True, slots=True)
class Shown:
    """A state on a page.

    Args:
        kind: ``ok``, ``wait``, ``bad``, ``run`` or ``unknown``.
        word: What it is called.
        why: A sentence, where there is one.
        at: Since when, or when it was observed.
    """

    kind: str
    word: str
    why: str = ""
    at: datetime | None = None


def worst(states: Iterable[Shown]) -> Shown | None:
    """Return the state that matters most, or None where there is none."""
    return min(states, key=lambda shown: _GRAVITY.index(shown.kind), default=None)


def named(node: str, message: str) -> str:
    """Return a message that begins with its node's name, as most do by themselves."""
    return message if not node or message.startswith(node) else f"{node}: {message}"


def node_shown(node: Node) -> Shown:
    """Return how far the panel knows a node. Reads ``node.machine``."""
    machine = node.machine
    if machine.host_key and not machine.host_key_confirmed_at:
        return Shown(WAIT, "Host key to confirm", "The panel does not log in before that.")
    if node.fault:
        message = str(node.fault.get("message", ""))
        if node.fault.get("reason") in NO_ANSWER:
            return Shown(UNKNOWN, "No answer", message, node.looked_at)
        return Shown(BAD, "Needs a look", message, node.looked_at)
    if node.facts_at is None:
        return Shown(UNKNOWN, "Not seen yet", "The first look is under way or waits for a worker.")
    return Shown(OK, "Reachable", "", node.facts_at)


def row_shown(row: NodeInstallation, installation: Installation) -> Shown:
    """Return the state of an add-on on one node, from what was observed and nothing else.

    It says in words what `addons.health` says in SQL.
    """
    now, at, condition = timezone.now(), row.observed_at, decisive(row.conditions)
    if at is None or condition is None:
        return Shown(UNKNOWN, "Not observed")
    if condition["status"] != "true":
        kind = BAD if condition["status"] == "false" else UNKNOWN
        return Shown(kind, _worded(condition), str(condition["message"]), at)
    if row.not_after and row.not_after <= now:
        return Shown(BAD, "Expired", "The certificate that was seen has ended since.", at)
    if row.observed_generation < installation.generation:
        return Shown(UNKNOWN, "Not observed", "The settings have changed since.", at)
    if at <= counts_since(now):
        why = "It was as wanted then; nobody has looked since."
        return Shown(UNKNOWN, f"Last seen {age(now - at)}", why, at)
    # A Sentinel in plaintext is as wanted, and nothing of it is encrypted.
    text = _worded(condition) if condition["reason"] == "PlainAsWanted" else "Verified"
    return Shown(OK, text, str(condition["message"]), at)


def _worded(condition: Mapping[str, Any]) -> str:
    """Return a condition's reason in words, or its status where it gives none."""
    return worded(str(condition["reason"]) or str(condition["status"]))


def worded(code: str) -> str:
    """Return a reason's CamelCase code as words: ``ChainInvalid`` becomes ``Chain invalid``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in code)
    return words.strip().capitalize()


_RUN_KINDS: Mapping[str, str] = {
    Run.State.PREVIEWING: RUN,
    Run.State.PREVIEWED: WAIT,
    Run.State.QUEUED: RUN,
    Run.State.RUNNING: RUN,
    Run.State.PUTTING_BACK: WAIT,
    Run.State.SUCCEEDED: OK,
    Run.State.PUT_BACK: BAD,
    Run.State.REFUSED: BAD,
    Run.State.STUCK: BAD,
    Run.State.RESOLVED: UNKNOWN,
    Run.State.DISCARDED: UNKNOWN,
}
_RUN_WORDS: Mapping[str, str] = {
    Run.State.PREVIEWING: "Preparing",
    Run.State.PREVIEWED: "To confirm",
    Run.State.REFUSED: "Refused",
    Run.State.RESOLVED: "Resolved",
}


def run_shown(run: Run) -> Shown:
    """Return a run's state, in a word that fits into a list."""
    word = _RUN_WORDS.get(run.state, run.get_state_display())
    at = run.ended_at or run.started_at or run.created_at
    why = named(str(run.failure.get("node", "")), str(run.failure.get("message", "")))
    return Shown(_RUN_KINDS[run.state], word, why if run.failure else "", at)


_NODE_WORDS: Mapping[str, tuple[str, str]] = {
    RunNode.State.WAITING: (UNKNOWN, "Waiting"),
    RunNode.State.RUNNING: (RUN, "Changing"),
    RunNode.State.DONE: (OK, "Done"),
    RunNode.State.UNCHANGED: (OK, "Nothing to change"),
    RunNode.State.FAILED: (BAD, "Failed"),
    RunNode.State.PUT_BACK: (BAD, "Put back"),
    RunNode.State.STUCK: (BAD, "Stuck"),
}


def run_node_shown(row: RunNode, run: Run) -> Shown:
    """Return how far one node of a run is."""
    if run.ended and row.state == RunNode.State.WAITING:
        return Shown(UNKNOWN, "Not touched")
    return Shown(*_NODE_WORDS[row.state])
