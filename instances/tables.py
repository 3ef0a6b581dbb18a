"""How lists of what exists, and the audit log, are narrowed and sorted."""

from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from instances.models import AuditEvent, Environment, Node, NodeGroup
from instances.reached import Reached, reached
from instances.selectors import holding, nodes_named, server_versions, systems
from instances.sorting import SortFilter


class EnvironmentFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Environments by name or region."""

    q = django_filters.CharFilter(label="Name or region", method="with_words")
    sort = SortFilter({"name": ("name",), "region": ("region", "name")})

    def with_words(
        self, found: QuerySet[Environment], _name: str, text: str
    ) -> QuerySet[Environment]:
        """Keep the environments with each word in name or region."""
        return found.filter(holding(text, "name", "region"))


class GroupFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Groups of one environment by name."""

    q = django_filters.CharFilter(label="Name", field_name="name", lookup_expr="icontains")
    sort = SortFilter(
        {"name": ("name",), "size": ("node_count", "name")},
        labels={
            "name": "Name",
            "-name": "Name, from the end",
            "size": "Nodes, fewest first",
            "-size": "Nodes, most first",
        },
    )


class NodeFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Nodes by name, state, server and system; each order ends unique."""

    q = django_filters.CharFilter(label="Name or address", method="with_words")
    state = django_filters.ChoiceFilter(
        label="State", choices=Reached.choices, empty_label="Any", method="in_state"
    )
    server = django_filters.ChoiceFilter(label="Server", empty_label="Any", method="with_server")
    system = django_filters.ChoiceFilter(label="System", empty_label="Any")
    sort = SortFilter(
        {
            "name": ("name", "pk"),
            "server": ("product", "version", "pk"),
            "seen": ("facts_at", "pk"),
        }
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        servers = [f"{product} {version}" for product, version in server_versions(self.queryset)]
        self.filters["server"].extra["choices"] = [(each, each.capitalize()) for each in servers]
        self.filters["system"].extra["choices"] = [(each, each) for each in systems(self.queryset)]

    def with_words(self, found: QuerySet[Node], _name: str, text: str) -> QuerySet[Node]:
        """Keep the nodes with each word in their name or their machine's address."""
        return nodes_named(found, text)

    def in_state(self, found: QuerySet[Node], _name: str, state: str) -> QuerySet[Node]:
        """Keep the nodes that are known so far."""
        return found.filter(reached(state))

    def with_server(self, found: QuerySet[Node], _name: str, server: str) -> QuerySet[Node]:
        """Keep the nodes with this product and version."""
        product, _, version = server.partition(" ")
        return found.filter(product=product, version=version)


class PlaceFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Nodes by the beginning of their environment's and their group's name."""

    environment = django_filters.CharFilter(label="Environment", method="in_environment")
    group = django_filters.CharFilter(label="Node group", method="in_group")

    def in_environment(self, found: QuerySet[Node], _name: str, text: str) -> QuerySet[Node]:
        """Keep the nodes of environments whose name begins so."""
        within = Environment.objects.filter(name__istartswith=text.strip())
        return found.filter(group__in=NodeGroup.objects.filter(environment__in=within))

    def in_group(self, found: QuerySet[Node], _name: str, text: str) -> QuerySet[Node]:
        """Keep the nodes of groups whose name begins so."""
        return found.filter(group__in=NodeGroup.objects.filter(name__istartswith=text.strip()))


WHATS = (
    ("environment.", "Environments"),
    ("group.", "Node groups"),
    ("node.", "Nodes"),
    ("machine.", "Machines"),
    ("credential.", "SSH keys"),
    ("authority.", "Authorities"),
    ("certificate.", "Client certificates"),
    ("run.", "Runs"),
    ("administrator.", "Administrators"),
)
"""What a verb begins with, and what that is about."""


class _Calendar(forms.DateInput):
    """The browser's own choice of a day."""

    input_type = "date"


class AuditFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Events by who, what, when and any text."""

    actor = django_filters.CharFilter(field_name="actor_name", label="Who", lookup_expr="iexact")
    verb = django_filters.ChoiceFilter(
        label="About", choices=WHATS, empty_label="Anything", lookup_expr="startswith"
    )
    since = django_filters.DateFilter(
        label="Since", field_name="at", lookup_expr="date__gte", widget=_Calendar
    )
    until = django_filters.DateFilter(
        label="Until", field_name="at", lookup_expr="date__lte", widget=_Calendar
    )
    q = django_filters.CharFilter(label="Text", method="with_words")
    sort = SortFilter({"at": ("at", "pk")}, usual="-at")

    def with_words(
        self, events: QuerySet[AuditEvent], _name: str, text: str
    ) -> QuerySet[AuditEvent]:
        """Keep the events with the text in their target, or at the beginning of their source."""
        # In its own letters or in small ones: to ignore them costs PostgreSQL most of the page.
        found = Q(target__contains=text) | Q(target__contains=text.lower())
        return events.filter(found | Q(source__startswith=text))
