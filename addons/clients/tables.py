"""How the lists of clients' certificates are narrowed and sorted."""

import django_filters
from django.db.models import QuerySet
from django.utils import timezone

from addons.clients.selectors import client_written
from addons.models import Certificate
from addons.tables_certificates import EndingFilter
from instances.models import Environment
from instances.sorting import SortFilter


class ClientFilter(EndingFilter):
    """Clients' certificates by holder, serial, fingerprint or issuer, and end.

    By its end only what is in force is found, as the timeline counts it, or what has expired: not
    what another one has taken the place of.
    """

    q = django_filters.CharFilter(label="Holder, serial, fingerprint", method="with_words")
    sort = SortFilter(
        {
            "newest": ("-pk",),
            "holder": ("holder", "-pk"),
            "ends": ("not_after", "pk"),
            "downloaded": ("downloaded_at", "pk"),
        }
    )

    def ending(self, found: QuerySet[Certificate], name: str, value: str) -> QuerySet[Certificate]:
        """Keep what ends then and has not been issued again."""
        issued = found.filter(state=Certificate.State.ISSUED)
        if value != "expired":
            issued = issued.filter(not_after__gt=timezone.now())
        return super().ending(issued, name, value)

    def with_words(
        self, found: QuerySet[Certificate], _name: str, text: str
    ) -> QuerySet[Certificate]:
        """Keep the certificates that have each word somewhere."""
        return client_written(found, text)


class AllClientsFilter(ClientFilter):
    """Those of all environments, by environment too."""

    environment = django_filters.CharFilter(label="Environment", method="in_environment")

    def in_environment(
        self, found: QuerySet[Certificate], _name: str, text: str
    ) -> QuerySet[Certificate]:
        """Keep the certificates that open environments whose name begins so."""
        within = Environment.objects.filter(name__istartswith=text.strip())
        return found.filter(authority__in=within.values("authority_links__authority"))
