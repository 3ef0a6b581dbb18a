"""What needs a person now, the gravest first, each with the one thing that helps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.timezone import localtime

from addons.actions import INSTALL
from addons.health import installations_ending, rows_not_as_wanted
from addons.models import Installation, NodeInstallation, Run
from addons.selectors import runs_in_need
from addons.watch.services import has_drifted
from instances.models import Node
from instances.selectors import nodes_with_fault, nodes_with_unconfirmed_host_key
from panel.pages.names import action_title
from panel.pages.state import BAD, WAIT, Shown, named, node_shown, row_shown, run_shown

MOST = 3
"""How many lines of one sort are shown; the rest is counted."""
SOON = timedelta(days=21)
"""How long before its end a certificate asks to be renewed."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One line.

    Args:
        what: A sentence.
        why: What is known of the cause, and the next step.
        url: Where the button leads, or what it posts to.
        post: Whether the button acts itself.
    """

    shown: Shown
    what: str
    why: str
    button: str
    url: str
    post: bool = False


@dataclass(frozen=True, slots=True)
class Attention:
    """The lines, and how many more there are."""

    matters: Sequence[Matter]
    more: int


def attention(now: datetime) -> Attention:
    """Collect it.

    Args:
        now: The present time.
    """
    sorts = [
        _cut([_run(run) for run in runs_in_need()[: MOST + 1]]),
        _cut([_observed(row) for row in rows_not_as_wanted(now)[: MOST + 1]]),
        _cut([_ending(each) for each in installations_ending(now, now + SOON)[: MOST + 1]]),
        _cut([_host_key(node) for node in nodes_with_unconfirmed_host_key()[: MOST + 1]]),
        _cut([_fault(node) for node in nodes_with_fault()[: MOST + 1]]),
    ]
    matters = [matter for kept, _ in sorts for matter in kept]
    order = (BAD, WAIT)
    matters.sort(key=lambda m: order.index(m.shown.kind) if m.shown.kind in order else len(order))
    return Attention(matters, sum(more for _, more in sorts))


def _cut(matters: list[Matter]) -> tuple[list[Matter], int]:
    return matters[:MOST], len(matters[MOST:])


def _run(run: Run) -> Matter:
    what = {
        Run.State.STUCK: "is stuck: not everything could be put back",
        Run.State.PUT_BACK: "failed and was put back",
        Run.State.REFUSED: "was refused, nothing was changed",
        Run.State.PREVIEWED: "waits for your confirmation",
    }[Run.State(run.state)]
    shown = run_shown(run)
    return Matter(
        shown=shown,
        what=f"{action_title(run)} on {run.installation.group} {what}",
        why=shown.why or "The preview is ready.",
        button="Review" if run.state == Run.State.PREVIEWED else "See what happened",
        url=run.get_absolute_url(),
    )


def _observed(row: NodeInstallation) -> Matter:
    shown = row_shown(row, row.installation)
    group = row.installation.group
    place = [group.environment.name, group.name]
    if has_drifted(row):
        return Matter(
            shown=shown,
            what=f"{row.node.name} in {group} has drifted",
            why=shown.why,
            button="Repair",
            url=reverse("group-act", args=[*place, row.installation.addon, INSTALL]),
            post=True,
        )
    return Matter(
        shown=shown,
        what=f"{row.node.name} in {group} is not as it should be",
        why=shown.why,
        button="Open",
        url=reverse("group-addons", args=place),
    )


def _ending(installation: Installation) -> Matter:
    group, count = installation.group, installation.ending_count  # type: ignore[attr-defined]
    ends_at = installation.ends_at  # type: ignore[attr-defined]
    certificates = "A certificate" if count == 1 else f"{count} certificates"
    return Matter(
        shown=Shown(WAIT, "Ends soon", "", ends_at),
        what=f"{certificates} in {group} will expire soon",
        why=f"{'It ends' if count == 1 else 'The first ends'} on {localtime(ends_at):%-d %B %Y}.",
        button="Renew",
        url=reverse("group-install", args=[group.environment.name, group.name, installation.addon]),
    )


def _host_key(node: Node) -> Matter:
    return Matter(
        shown=Shown(WAIT, "Host key"),
        what=f"{node.name} in {node.group} showed a host key that nobody has compared",
        why="The panel does not log in before you confirm it.",
        button="Compare",
        url=reverse("node", args=[node.pk]),
    )


def _fault(node: Node) -> Matter:
    return Matter(
        shown=node_shown(node),
        what=named(node.name, str(node.fault.get("message", "the last look failed"))),
        why=f"{node.group}. {node.fault.get('next_step', '')}",
        button="Test again",
        url=reverse("node-look", args=[node.pk]),
        post=True,
    )
