"""What needs a person now, the gravest first, each with the one thing that helps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.timezone import localtime

from addons.actions import INSTALL, REISSUE
from addons.expiry import AUTHORITIES, CLIENTS, NODES
from addons.health import rows_not_as_wanted
from addons.models import NodeInstallation, Run
from addons.renewal.selectors import Ending, endings_in_need
from addons.selectors import runs_in_need
from addons.watch.services import has_drifted
from instances.models import Node, NodeGroup
from instances.selectors import nodes_with_fault, nodes_with_unconfirmed_host_key
from instances.topology import groups_disagreeing
from panel.pages.names import action_title, addon_of
from panel.pages.overview import ENCRYPTION
from panel.pages.state import BAD, WAIT, Shown, named, node_shown, row_shown, run_shown

MOST = 3
"""How many lines of one sort are shown; the rest is counted."""
_AGAIN = "Redoubt tries again by itself, ever later: the group's page says when."
GRAVE = 7
"""With that many days left until something ends, it is grave."""


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
        *(_cut([_ending(each) for each in found]) for found in _by_kind(endings_in_need(now))),
        _cut([_disagreeing(group) for group in groups_disagreeing()[: MOST + 1]]),
        _cut([_host_key(node) for node in nodes_with_unconfirmed_host_key()[: MOST + 1]]),
        _cut([_fault(node) for node in nodes_with_fault()[: MOST + 1]]),
    ]
    matters = [matter for kept, _ in sorts for matter in kept]
    order = (BAD, WAIT)
    matters.sort(key=lambda m: order.index(m.shown.kind) if m.shown.kind in order else len(order))
    return Attention(matters, sum(more for _, more in sorts))


def _by_kind(endings: Sequence[Ending]) -> list[list[Ending]]:
    kinds = (NODES, CLIENTS, AUTHORITIES)
    return [[each for each in endings if each.kind == kind] for kind in kinds]


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
        why=f"{shown.why} {_AGAIN}" if _tried_again(run) else shown.why or "The preview is ready.",
        button="Review" if run.state == Run.State.PREVIEWED else "See what happened",
        url=run.get_absolute_url(),
    )


def _tried_again(run: Run) -> bool:
    """Say whether the panel tries again what failed."""
    addon = addon_of(run)
    failed = run.state in {Run.State.PUT_BACK, Run.State.REFUSED}
    return bool(run.cause and failed and addon and addon.renews(run.installation.spec))


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


def _ending(ending: Ending) -> Matter:
    shown = Shown(*_stage(ending.days), at=ending.ends)
    day = f"{localtime(ending.ends):%-d %B %Y}"
    match ending.kind:
        case "nodes":
            return _of_nodes(ending, shown, day)
        case "clients":
            return _of_client(ending, shown, day)
    return Matter(
        shown=shown,
        what=f"The authority {ending.name} {_ends(ending)}, with all that it has issued",
        why=f"{_on(ending)} {day}. What is issued until then ends no later than it does.",
        button="See what it issued",
        url=f"{reverse('certificates')}?{urlencode({'environment': ending.environment})}",
    )


def _of_nodes(ending: Ending, shown: Shown, day: str) -> Matter:
    whose = "A node" if ending.count == 1 else f"{ending.count} nodes"
    what = f"its certificate {_ends(ending)}" if ending.count == 1 else _their(ending)
    place = [ending.environment, ending.name]
    renewal = "Renewal is off." if ending.off else "It could not be renewed by itself."
    return Matter(
        shown=shown,
        what=f"{whose} in {' / '.join(place)}: {what}",
        why=f"{_on(ending, first=ending.count > 1)} {day}. {renewal}",
        button="Re-issue",
        url=reverse("group-act", args=[*place, ENCRYPTION, REISSUE]),
        post=True,
    )


def _of_client(ending: Ending, shown: Shown, day: str) -> Matter:
    form = reverse("environment-certificate-issue", args=[ending.environment])
    return Matter(
        shown=shown,
        what=f"The client certificate of {ending.name} in {ending.environment} {_ends(ending)}",
        why=f"{_on(ending)} {day}. Only its holder can change it for another one.",
        button="Re-issue",
        url=f"{form}?{urlencode({'of': ending.key})}",
    )


def _stage(days: int) -> tuple[str, str]:
    if not days:
        return BAD, "Expired"
    return BAD if days <= GRAVE else WAIT, f"Within {days} days"


def _ends(ending: Ending) -> str:
    return f"ends within {ending.days} days" if ending.days else "has expired"


def _their(ending: Ending) -> str:
    how = f"end within {ending.days} days" if ending.days else "have expired"
    return f"their certificates {how}"


def _on(ending: Ending, *, first: bool = False) -> str:
    what = "The first one" if first else "It"
    return f"{what} {'ends' if ending.days else 'ended'} on"


def _disagreeing(group: NodeGroup) -> Matter:
    return Matter(
        shown=Shown(BAD, "Disagreement"),
        what=f"The nodes of {group} contradict each other",
        why=str(group.disagreement.get("message", "")),
        button="See the topology",
        url=reverse("group-topology", args=[group.environment.name, group.name]),
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
