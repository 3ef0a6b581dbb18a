"""The cards of a group's Add-ons tab."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from addons.actions import UNINSTALL
from addons.catalogue import Action, AddOn, all_addons
from addons.models import Installation, NodeInstallation, Run
from addons.selectors import installations_on, last_runs, node_installations
from instances.models import Node, NodeGroup
from instances.selectors import nodes_of_group
from panel.pages.state import BAD, OK, UNKNOWN, WAIT, Shown, row_shown, run_shown


@dataclass(frozen=True, slots=True)
class ServedLine:
    """What one node was seen to serve; ``row`` is None where nothing was ever seen."""

    node: Node
    shown: Shown
    row: NodeInstallation | None


@dataclass(frozen=True, slots=True)
class Card:
    """An add-on on a group.

    Args:
        last: The latest run, while it says more than the state does: it works, waits, or failed.
    """

    addon: AddOn
    installed: bool
    shown: Shown | None
    settings: Sequence[tuple[str, str]]
    lines: Sequence[ServedLine]
    last: Run | None
    last_shown: Shown | None
    uninstall: Action | None

    @property
    def mark(self) -> str:
        """Return the kind that colours the card's mark."""
        return self.shown.kind if self.shown else UNKNOWN


def cards_of(group: NodeGroup) -> list[Card]:
    """Return a card for each add-on, the installed ones first."""
    installations = installations_on(group)
    rows = node_installations(installations.values())
    runs = last_runs(installations.values())
    nodes = list(nodes_of_group(group))
    cards = [
        _card(addon, installations.get(addon.slug), nodes, rows, runs) for addon in all_addons()
    ]
    return sorted(cards, key=lambda card: not card.installed)


def _card(
    addon: AddOn,
    installation: Installation | None,
    nodes: Sequence[Node],
    rows: Sequence[NodeInstallation],
    runs: Mapping[int, Run],
) -> Card:
    installed = installation is not None and installation.generation > 0
    seen = {row.node_id: row for row in rows if row.installation.addon == addon.slug}
    lines = [_line(node, seen.get(node.pk)) for node in nodes] if installed else []
    last = runs.get(installation.pk) if installation else None
    telling = last if last and last.state not in {Run.State.SUCCEEDED, Run.State.RESOLVED} else None
    return Card(
        addon=addon,
        installed=installed,
        shown=_summary(lines) if installed else None,
        settings=addon.settings_shown(installation.spec) if installation and installed else (),
        lines=lines,
        last=telling,
        last_shown=run_shown(telling) if telling else None,
        uninstall=addon.actions.get(UNINSTALL),
    )


def _line(node: Node, row: NodeInstallation | None) -> ServedLine:
    if row is None:
        return ServedLine(node, Shown(UNKNOWN, "Not installed here", "Added since."), None)
    return ServedLine(node, row_shown(row, row.installation), row)


def _summary(lines: Sequence[ServedLine]) -> Shown:
    """Return the state of the whole, in a few words, with the age of its oldest observation."""
    kinds = [line.shown.kind for line in lines]
    oldest = min((x.row.observed_at for x in lines if x.row and x.row.observed_at), default=None)
    for kind, words in ((BAD, "not as wanted"), (WAIT, "to look at"), (UNKNOWN, "not observed")):
        if count := kinds.count(kind):
            why = next(line.shown.why for line in lines if line.shown.kind == kind)
            noun = "node" if count == 1 else "nodes"
            return Shown(kind, f"On, {count} {noun} {words}", why, oldest)
    return Shown(OK, "On, verified", "", oldest) if lines else Shown(UNKNOWN, "On, no nodes")
