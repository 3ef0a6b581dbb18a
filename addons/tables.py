"""How lists of runs and of nodes with add-ons are narrowed and sorted."""

import django_filters
from django.db.models import Exists, OuterRef, QuerySet, TextChoices
from django.db.models.functions import Coalesce
from django.forms import CheckboxInput
from django.utils import timezone

from addons.catalogue import all_addons
from addons.health import as_wanted, installed, not_as_wanted
from addons.models import Run
from addons.selectors import RUNS_UNDER_WAY
from instances.models import Environment, Node
from instances.sorting import SortFilter
from instances.tables import NodeFilter, PlaceFilter


def _actions() -> list[tuple[str, str]]:
    return [
        (f"{addon.slug}:{action.slug}", action.title)
        for addon in all_addons()
        for action in addon.actions.values()
    ]


class RunFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Runs by state, action, environment and person.

    ``under_way`` is where the count in the top bar leads.
    """

    state = django_filters.ChoiceFilter(choices=Run.State.choices, empty_label="Any")
    what = django_filters.ChoiceFilter(
        label="What", choices=_actions, method="doing", empty_label="Anything"
    )
    environment = django_filters.CharFilter(label="Environment", method="in_environment")
    by = django_filters.CharFilter(label="By", field_name="actor_name", lookup_expr="iexact")
    under_way = django_filters.BooleanFilter(
        label="Under way only", method="only_under_way", widget=CheckboxInput
    )
    sort = SortFilter(
        {
            "newest": ("-pk",),
            "state": ("state", "-pk"),
            "what": ("installation__addon", "action", "-pk"),
            "by": ("actor_name", "-pk"),
        }
    )

    def doing(self, runs: QuerySet[Run], _name: str, value: str) -> QuerySet[Run]:
        """Keep the runs of one action of one add-on, given as ``addon:action``."""
        addon, _, action = value.partition(":")
        return runs.filter(installation__addon=addon, action=action)

    def in_environment(self, runs: QuerySet[Run], _name: str, text: str) -> QuerySet[Run]:
        """Keep the runs in environments whose name begins so, archived ones included."""
        within = Environment.recorded.filter(name__istartswith=text.strip())
        return runs.filter(installation__group__environment__in=within)

    def only_under_way(self, runs: QuerySet[Run], _name: str, value: object) -> QuerySet[Run]:
        """Keep the runs that are queued or running."""
        return runs.filter(state__in=RUNS_UNDER_WAY) if value else runs


class Encrypted(TextChoices):
    """What was last seen of encryption on a node."""

    VERIFIED = "verified", "Verified"
    BAD = "bad", "Not as wanted"
    UNKNOWN = "unknown", "Not observed"
    NONE = "none", "Not installed"


class GroupNodeFilter(NodeFilter):
    """Nodes by what was last seen of their encryption too."""

    encryption = django_filters.ChoiceFilter(
        label="Encryption", choices=Encrypted.choices, empty_label="Any", method="encrypted"
    )

    def encrypted(self, nodes: QuerySet[Node], _name: str, state: str) -> QuerySet[Node]:
        """Keep the nodes of which this was last seen."""
        now = timezone.now()
        rows = installed().filter(installation__addon="encryption")
        seen = {
            Encrypted.BAD: rows.filter(not_as_wanted(now)),
            Encrypted.UNKNOWN: rows.exclude(as_wanted(now)).exclude(not_as_wanted(now)),
        }
        here = rows.filter(node=OuterRef("pk"))
        # Most nodes are so, and looked at until a page is full; the others are gathered first.
        if state == Encrypted.NONE:
            return nodes.filter(~Exists(here))
        if state == Encrypted.VERIFIED:
            # SQLite would go through all rows of that health and age for each node, by their index,
            # but for an expression that no index has.
            here = here.alias(seen_at=Coalesce("observed_at", "observed_at"))
            return nodes.filter(Exists(here.filter(as_wanted(now, "seen_at"))))
        return nodes.filter(pk__in=seen[Encrypted(state)].values("node"))


class FleetFilter(PlaceFilter, GroupNodeFilter):
    """Nodes of all environments."""
