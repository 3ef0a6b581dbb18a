"""How the lists of certificates are narrowed and sorted."""

from datetime import datetime
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils import timezone

from addons.expiry import ending_within
from addons.models import Authority, Certificate
from addons.selectors import certificate_written
from instances.models import Environment
from instances.selectors import holding
from instances.sorting import SortFilter

ENDS = (
    ("expired", "Expired"),
    ("7", "Within 7 days"),
    ("14", "Within 14 days"),
    ("30", "Within 30 days"),
)


class EndingFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """By when something ends: near ones, or a month such as 2027-03.

    Args:
        months: Those to choose from, as `panel.pages.expiry` names them.
    """

    ends = django_filters.ChoiceFilter(label="Ends", empty_label="Any time", method="ending")

    def __init__(self, *args: Any, months: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters["ends"].extra["choices"] = [*ENDS, *months]

    def ending(self, found: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Keep what ends then."""
        near = [name for name, _ in ENDS]
        if value in near:
            return found.filter(ending_within(near.index(value), timezone.now()))
        return found.filter(in_month(value))


def in_month(month: str) -> Q:
    """Return the condition of what ends in a month, in UTC as the timeline counts it."""
    first = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Q(not_after__gte=first, not_after__lt=after)


class CertificateFilter(EndingFilter):
    """Nodes' certificates by node, serial or fingerprint, environment, use and end."""

    q = django_filters.CharFilter(label="Node, serial or fingerprint", method="with_words")
    environment = django_filters.CharFilter(label="Environment", method="in_environment")
    purpose = django_filters.ChoiceFilter(
        label="For", choices=[("server", "Servers"), ("client", "Clients")], empty_label="Any"
    )
    sort = SortFilter(
        {
            "ends": ("not_after", "pk"),
            "holder": ("subject", "pk"),
            "environment": ("node__group__environment__name", "not_after", "pk"),
        }
    )

    def with_words(
        self, found: QuerySet[Certificate], _name: str, text: str
    ) -> QuerySet[Certificate]:
        """Keep the certificates with each word in name, serial or fingerprint."""
        return certificate_written(found, text)

    def in_environment(
        self, found: QuerySet[Certificate], _name: str, text: str
    ) -> QuerySet[Certificate]:
        """Keep the certificates of nodes in environments whose name begins so."""
        within = Environment.objects.filter(name__istartswith=text.strip())
        return found.filter(node__group__environment__in=within)


class AuthorityFilter(EndingFilter):
    """Authorities by name, fingerprint, environment and end."""

    q = django_filters.CharFilter(label="Name or fingerprint", method="with_words")
    environment = django_filters.CharFilter(label="Environment", method="in_environment")
    sort = SortFilter({"ends": ("not_after", "pk"), "holder": ("name", "pk")})

    def with_words(self, found: QuerySet[Authority], _name: str, text: str) -> QuerySet[Authority]:
        """Keep the authorities with each word in name or fingerprint."""
        return found.filter(holding(text, "name", "fingerprint"))

    def in_environment(
        self, found: QuerySet[Authority], _name: str, text: str
    ) -> QuerySet[Authority]:
        """Keep the authorities of environments whose name begins so."""
        within = Environment.objects.filter(name__istartswith=text.strip())
        return found.filter(pk__in=within.values("authority_links__authority"))
