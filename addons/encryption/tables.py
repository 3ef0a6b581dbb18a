"""How the list of who speaks plaintext is narrowed and sorted."""

from datetime import timedelta

import django_filters
from django.db.models import F, QuerySet
from django.utils import timezone

from addons.encryption.models import PlaintextClient
from instances.nodeconf.client_list import Kind
from instances.selectors import holding
from instances.sorting import SortFilter

_NOW = "now"
SEEN = ((_NOW, "At the latest look"), ("1", "Within a day"), ("7", "Within 7 days"))
KINDS = (
    (Kind.NORMAL, "Asking"),
    (Kind.PUBSUB, "Subscribing"),
    (Kind.REPLICA, "Replicating"),
    (Kind.MONITOR, "Monitoring"),
)


class PlaintextFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Addresses, from `plaintext_seen.addresses_of`, by what is known of who is there."""

    q = django_filters.CharFilter(label="Address, name, user or library", method="with_words")
    node = django_filters.CharFilter(
        label="Node", field_name="node__name", lookup_expr="istartswith"
    )
    kind = django_filters.ChoiceFilter(
        label="What it does",
        choices=KINDS,
        field_name="kinds",
        lookup_expr="contains",
        empty_label="Anything",
    )
    seen = django_filters.ChoiceFilter(
        label="Seen", choices=SEEN, empty_label="Within 30 days", method="seen_within"
    )
    sort = SortFilter(
        {
            "seen": ("last", "-address"),
            "address": ("address",),
            "lasted": ("oldest", "address"),
            "samples": ("met", "address"),
        },
        usual="-seen",
    )

    def with_words(
        self, found: QuerySet[PlaintextClient], _name: str, text: str
    ) -> QuerySet[PlaintextClient]:
        """Keep those with each word somewhere."""
        return found.filter(holding(text, "address", "names", "users", "libraries"))

    def seen_within(
        self, found: QuerySet[PlaintextClient], _name: str, value: str
    ) -> QuerySet[PlaintextClient]:
        """Keep those that were there then."""
        if value == _NOW:
            return found.filter(last_seen=F("node__plain_port__sampled_at"))
        return found.filter(last_seen__gte=timezone.now() - timedelta(days=int(value)))
