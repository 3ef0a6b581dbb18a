"""How the lists of clients' certificates are narrowed and sorted."""

import django_filters
from django.db.models import QuerySet

from addons.clients.selectors import client_written
from addons.models import Certificate
from addons.tables_certificates import EndingFilter
from instances.models import Environment
from instances.sorting import SortFilter


class ClientFilter(EndingFilter):
    """Clients' certificates by holder, serial, fingerprint or issuer, and end."""

    q = django_filters.CharFilter(label="Holder, serial, fingerprint", method="with_words")
    sort = SortFilter(
        {
            "newest": ("-pk",),
            "holder": ("holder", "-pk"),
            "ends": ("not_after", "pk"),
            "downloaded": ("downloaded_at", "pk"),
        }
    )

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
