"""The cards of a group's Add-ons tab."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from addons.actions import CONFIGURE, INSTALL, REISSUE, UNINSTALL
from addons.catalogue import Action, AddOn, all_addons
from addons.encryption.plaintext_seen import SLUG as ENCRYPTION
from addons.health import Observed, installation_counts
from addons.models import Installation, NodeInstallation, Run
from addons.renewal.plan import Renewal
from addons.renewal.standing import renewals_of
from addons.selectors import installations_on, last_runs, node_installations
from instances.models import Node, NodeGroup
from panel.pages.drift import Drift, drift_shown
from panel.pages.node import PATIENCE
from panel.pages.plaintext import plaintext_shown
from panel.pages.renewal import RenewalShown, foremost, renewal_shown
from panel.pages.state import BAD, OK, UNKNOWN, Shown, row_shown, run_shown

_ELSEWHERE = {INSTALL, CONFIGURE, UNINSTALL}
"""Actions that have a button or an entry of their own."""


@dataclass(frozen=True, slots=True)
class ServedLine:
    """What one node was seen to serve; ``row`` is None where nothing was ever seen."""

    node: Node
    shown: Shown
    row: NodeInstallation | None
    drift: Drift | None = None
    renewal: RenewalShown | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """An add-on on a group.

    Args:
        last: The latest run, while it says more than the state does: it works, waits, or failed.
        plaintext: Whether somebody still speaks plaintext there; None where nobody looks.
        renewal: What becomes of the certificates, by the node that needs somebody most.
        renews: The name of that node; empty where it is the same with all that are shown.
        acts: What else can be done where it is installed, each by a preview of its own.
    """

    addon: AddOn
    installed: bool
    shown: Shown | None
    settings: Sequence[tuple[str, str]]
    lines: Sequence[ServedLine]
    last: Run | None
    last_shown: Shown | None
    acts: Sequence[Action]
    uninstall: Action | None
    plaintext: Shown | None = None
    renewal: RenewalShown | None = None
    renews: str = ""

    @property
    def mark(self) -> str:
        """Return the kind that colours the card's mark."""
        return self.shown.kind if self.shown else UNKNOWN


def cards_of(group: NodeGroup, nodes: Sequence[Node], size: int, now: datetime) -> list[Card]:
    """Return a card for each add-on, the installed ones first.

    Args:
        group: The group.
        nodes: Those of its nodes that are shown.
        size: How many it has.
        now: The present time.
    """
    installations = installations_on(group)
    rows = node_installations(installations.values(), nodes)
    counts = installation_counts(installations.values(), now)
    runs = last_runs(installations.values())
    renewals = renewals_of([node.pk for node in nodes], now)
    cards = []
    for addon in all_addons():
        here = installations.get(addon.slug)
        seen = {row.node_id: row for row in rows if row.installation.addon == addon.slug}
        if here and here.generation:
            own = renewals if REISSUE in addon.actions else {}
            lines = [_line(node, seen.get(node.pk), own.get(node.pk)) for node in nodes]
            shown = _summary(counts.get(here.pk, Observed()), size, lines)
            card = _card(addon, here, shown, lines, runs.get(here.pk))
            card = replace(card, plaintext=_plaintext(group, addon, now))
            cards.append(_with_renewal(card, own))
        else:
            cards.append(_card(addon, None, None, (), runs.get(here.pk) if here else None))
    return sorted(cards, key=lambda card: not card.installed)


def _card(
    addon: AddOn,
    installed: Installation | None,
    shown: Shown | None,
    lines: Sequence[ServedLine],
    last: Run | None,
) -> Card:
    telling = last if last and last.state not in {Run.State.SUCCEEDED, Run.State.RESOLVED} else None
    return Card(
        addon=addon,
        installed=installed is not None,
        shown=shown,
        settings=addon.settings_shown(installed.spec) if installed else (),
        lines=lines,
        last=telling,
        last_shown=run_shown(telling) if telling else None,
        acts=[act for slug, act in addon.actions.items() if slug not in _ELSEWHERE],
        uninstall=addon.actions.get(UNINSTALL),
    )


def _plaintext(group: NodeGroup, addon: AddOn, now: datetime) -> Shown | None:
    return plaintext_shown(group, now) if addon.slug == ENCRYPTION else None


def _with_renewal(card: Card, renewals: Mapping[int, Renewal]) -> Card:
    first = foremost(renewals)
    if first is None:
        return card
    alike = len({(each.way, each.at) for each in renewals.values()}) == 1
    name = next((line.node.name for line in card.lines if line.node.pk == first[0]), "")
    return replace(card, renewal=renewal_shown(first[1]), renews="" if alike else name)


def _line(node: Node, row: NodeInstallation | None, renewal: Renewal | None) -> ServedLine:
    if row is None:
        return ServedLine(node, Shown(UNKNOWN, "Not installed here", "Added since."), None)
    return ServedLine(
        node,
        row_shown(row, row.installation),
        row,
        drift_shown(row),
        renewal_shown(renewal) if renewal else None,
    )


def awaited(cards: Sequence[Card], asked: datetime | None, now: datetime) -> bool:
    """Say whether a look that a viewer asked for has not come back from some node."""
    if asked is None or now - asked > PATIENCE:
        return False
    seen = [line.node.looked_at for card in cards for line in card.lines if line.row]
    return any(at is None or at < asked for at in seen)


def _summary(known: Observed, size: int, lines: Sequence[ServedLine]) -> Shown:
    """Return the state of the whole, in a few words, with the age of its oldest observation."""
    if not size:
        return Shown(UNKNOWN, "On, no nodes")
    unseen = size - known.counts.verified - known.counts.bad
    for kind, count, words in (
        (BAD, known.counts.bad, "not as wanted"),
        (UNKNOWN, unseen, "not observed"),
    ):
        if count:
            why = next((line.shown.why for line in lines if line.shown.kind == kind), "")
            noun = "node" if count == 1 else "nodes"
            return Shown(kind, f"On, {count} {noun} {words}", why, known.oldest)
    return Shown(OK, "On, verified", "", known.oldest)
