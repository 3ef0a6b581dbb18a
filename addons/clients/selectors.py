"""Reads of clients' certificates, and of the servers that they open."""

from django.db.models import Prefetch, QuerySet

from addons.models import Certificate, EnvironmentAuthority, NodeInstallation
from addons.pki.how_to import Endpoint
from instances.models import Environment, Node
from instances.selectors import holding


def client_certificates() -> QuerySet[Certificate]:
    """Return what was issued to clients, those of archived environments alone left out."""
    links = EnvironmentAuthority.objects.filter(environment__in=Environment.objects.all())
    return (
        Certificate.objects.filter(purpose="client", node=None)
        .filter(authority__in=links.values("authority"))
        .select_related("authority")
        .defer("authority__certificate", "authority__private_key")
        .prefetch_related(
            Prefetch(
                "authority__environment_links",
                links.select_related("environment").order_by("environment__name"),
                to_attr="links",
            )
        )
    )


def client_certificates_of(environment: Environment) -> QuerySet[Certificate]:
    """Return the clients' certificates that an environment's authorities have issued.

    Where environments share an authority they share these: one opens the servers of all of them.
    """
    links = EnvironmentAuthority.objects.filter(environment=environment)
    return client_certificates().filter(authority__in=links.values("authority"))


def client_written(certificates: QuerySet[Certificate], text: str) -> QuerySet[Certificate]:
    """Keep the certificates with each word in holder, serial, fingerprint or issuer."""
    return certificates.filter(holding(text, "holder", "serial", "fingerprint", "issued_by"))


def environments_opened(certificate: Certificate) -> list[Environment]:
    """Return the environments whose servers a certificate from `client_certificates` opens."""
    return [link.environment for link in certificate.authority.links]  # type: ignore[attr-defined]


def endpoints_of(environment: Environment) -> list[Endpoint]:
    """Return where the servers of an environment speak TLS, by group and name."""
    rows = NodeInstallation.objects.filter(
        installation__addon="encryption",
        installation__generation__gt=0,
        node__group__environment=environment,
        node__archived_at=None,
    )
    # Sentinels serve no data, and their ports are their own.
    rows = rows.exclude(node__in=Node.objects.filter(facts__server__sentinel=True))
    rows = rows.select_related("installation", "node__machine").only(
        "installation__spec", "node__name", "node__client_addresses", "node__machine__address"
    )
    return [
        Endpoint(row.node.name, row.node.address, int(row.installation.spec["tls_port"]))
        for row in rows.order_by("node__group__name", "node__name")
    ]
