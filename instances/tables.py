"""How the audit log is narrowed."""

import django_filters
from django.db.models import Q, QuerySet

from instances.models import AuditEvent


class AuditFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Events by who, what and any text."""

    actor = django_filters.CharFilter(field_name="actor_name", label="Who", lookup_expr="iexact")
    verb = django_filters.CharFilter(label="What", lookup_expr="istartswith")
    q = django_filters.CharFilter(label="Text", method="holding")

    def holding(self, events: QuerySet[AuditEvent], _name: str, text: str) -> QuerySet[AuditEvent]:
        """Keep the events whose target, verb or source holds the text."""
        return events.filter(
            Q(target__icontains=text) | Q(verb__icontains=text) | Q(source__icontains=text)
        )
