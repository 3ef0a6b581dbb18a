"""Archiving as its pages show it: what keeps a place, and what an archived one has on record."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse

from addons.actions import UNINSTALL
from addons.archiving import Keeper, keepers_of
from addons.models import Run
from addons.selectors import runs_listed
from instances.models import Environment, Node, NodeGroup
from instances.services import nothing_recorded
from instances.services.archive import Place
from panel.pages.runs import RunLine, run_lines

RUNS = 25
PARTS = 50
WORDS = {Environment: "environment", NodeGroup: "node group", Node: "node"}


@dataclass(frozen=True, slots=True)
class KeeperLine:
    """What keeps a place, and the one thing that helps.

    Args:
        post: Whether the button asks for a preview; it leads to a page otherwise.
    """

    what: str
    why: str
    button: str
    url: str
    post: bool = False


@dataclass(frozen=True, slots=True)
class Archiving:
    """The question whether a place is to be archived.

    Args:
        removable: Whether nothing was recorded there, so that it can be removed for good.
    """

    place: Place
    kind: str
    keepers: Sequence[KeeperLine]
    removable: bool

    @property
    def gone_url(self) -> str:
        """Return where a node is archived though an add-on is on; empty where there is no need."""
        kept = isinstance(self.place, Node) and any(keeper.post for keeper in self.keepers)
        return reverse("node-gone", args=[self.place.pk]) if kept else ""

    @property
    def remove_url(self) -> str:
        """Return where it is removed for good."""
        match self.place:
            case Environment():
                return reverse("environment-remove", args=[self.place.name])
            case NodeGroup():
                names = [self.place.environment.name, self.place.name]
                return reverse("group-remove", args=names)
        return reverse("node-remove", args=[self.place.pk])


@dataclass(frozen=True, slots=True)
class Archived:
    """What is archived, and what is on record of it.

    Args:
        whole: What it was archived with; None where it comes back by itself.
        parts: What was archived with it.
    """

    place: Place
    kind: str
    whole: Place | None
    part_kind: str
    parts: Sequence[Place]
    part_count: int
    runs: Sequence[RunLine]


def archiving(place: Place) -> Archiving:
    """Collect what a person has to know before archiving a place."""
    return Archiving(
        place=place,
        kind=WORDS[type(place)],
        keepers=[_line(keeper) for keeper in keepers_of(place)],
        removable=nothing_recorded(place),
    )


def archived(place: Place) -> Archived:
    """Collect the record of an archived place.

    Args:
        place: From `instances.archived.archived_place`.
    """
    kind, parts = _parts(place)
    return Archived(
        place=place,
        kind=WORDS[type(place)],
        whole=_whole(place),
        part_kind=kind,
        parts=list(parts[:PARTS]),
        part_count=parts.count(),
        runs=run_lines(_runs(place)[:RUNS]),
    )


def _line(keeper: Keeper) -> KeeperLine:
    what, why = keeper.reason.message, keeper.reason.next_step
    if keeper.run is not None:
        return KeeperLine(what, why, "Open the run", keeper.run.get_absolute_url())
    assert keeper.installation is not None  # noqa: S101 -- a keeper is one or the other
    group, addon = keeper.installation.group, keeper.installation.addon
    where = [group.environment.name, group.name, addon, UNINSTALL]
    return KeeperLine(what, why, "Uninstall…", reverse("group-act", args=where), post=True)


def _whole(place: Place) -> Place | None:
    match place:
        case Environment():
            return None
        case NodeGroup():
            whole: Place = place.environment
        case Node():
            whole = place.group if place.group.archived_at else place.group.environment
    return whole if whole.archived_at else None


def _parts(place: Place) -> tuple[str, QuerySet[NodeGroup] | QuerySet[Node]]:
    match place:
        case Environment():
            groups = NodeGroup.recorded.filter(environment=place, archived_at=place.archived_at)
            return "node group", groups.select_related("environment").order_by("name")
        case NodeGroup():
            nodes = Node.recorded.filter(group=place, archived_at=place.archived_at)
            return "node", nodes.defer("server_password", "facts").order_by("name")
    return "", Node.recorded.none()


def _runs(place: Place) -> QuerySet[Run]:
    runs = runs_listed()
    match place:
        case Environment():
            return runs.filter(installation__group__environment=place)
        case NodeGroup():
            return runs.filter(installation__group=place)
    return runs.filter(nodes__node=place)
