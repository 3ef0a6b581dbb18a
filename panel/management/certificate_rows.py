"""What ``certificate list`` prints: certificates of nodes and clients, and authorities."""

from collections.abc import Iterable
from datetime import datetime

from addons.clients.selectors import (
    client_certificates,
    client_certificates_of,
    environments_opened,
)
from addons.expiry import (
    AUTHORITIES,
    CLIENTS,
    NODES,
    authorities_listed,
    leaves_listed,
)
from addons.models import Certificate
from addons.renewal.plan import Renewal
from addons.renewal.standing import renewals_of
from instances.models import Environment
from panel.pages.renewal import renewal_shown

SORTS = (NODES, CLIENTS, AUTHORITIES)
COLUMNS = ("of", "holder", "environments", "ends", "renewal", "serial")
CLIENT_COLUMNS = ("holder", "environments", "ends", "form", "by", "downloaded", "serial")
Row = dict[str, object]


def certificate_rows(
    environment: Environment | None, sorts: Iterable[str], now: datetime
) -> list[Row]:
    """Return what there is, by whose it is, then by its end.

    Args:
        environment: The one that is asked for; all where None.
        sorts: Of `SORTS`.
    """
    made = {NODES: _nodes, CLIENTS: _clients, AUTHORITIES: _authorities}
    return [row for sort in SORTS if sort in sorts for row in made[sort](environment, now)]


def _nodes(environment: Environment | None, now: datetime) -> list[Row]:
    found = leaves_listed().order_by("not_after", "subject", "pk")
    if environment:
        found = found.filter(node__group__environment=environment)
    leaves = list(found)
    renewals = renewals_of({each.node_id or 0 for each in leaves}, now)
    return [_node(each, renewals.get(each.node_id or 0)) for each in leaves]


def _node(leaf: Certificate, renewal: Renewal | None) -> Row:
    group = leaf.node.group if leaf.node else None
    return {
        "of": f"{NODES}, {leaf.purpose}",
        "holder": str(leaf.node),
        "environments": group.environment.name if group else "",
        "group": group.name if group else "",
        "ends": _moment(leaf.not_after),
        "renewal": renewal_shown(renewal).text if renewal else "",
        "renews_at": _moment(renewal.at) if renewal else None,
        "serial": leaf.serial,
        "fingerprint": leaf.fingerprint,
    }


def _clients(environment: Environment | None, _now: datetime) -> list[Row]:
    found = client_certificates_of(environment) if environment else client_certificates()
    return [
        {
            "of": CLIENTS,
            "holder": each.holder,
            "environments": " ".join(within.name for within in environments_opened(each)),
            "ends": _moment(each.not_after),
            "renewal": "Issued again"
            if each.state == Certificate.State.REPLACED
            else "By its holder",
            "form": each.form,
            "by": each.issued_by,
            "downloaded": _moment(each.downloaded_at),
            "serial": each.serial,
            "fingerprint": each.fingerprint,
        }
        for each in found.order_by("-pk")
    ]


def _authorities(environment: Environment | None, _now: datetime) -> list[Row]:
    found = authorities_listed().order_by("not_after", "pk")
    if environment:
        found = found.filter(environment_links__environment=environment)
    return [
        {
            "of": AUTHORITIES,
            "holder": each.name,
            "environments": " ".join(link.environment.name for link in each.links),  # type: ignore[attr-defined]
            "ends": _moment(each.not_after),
            "renewal": "Not by itself",
            "serial": "",
            "fingerprint": each.fingerprint,
        }
        for each in found
    ]


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
