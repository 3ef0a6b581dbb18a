"""Certificates of nodes, and authorities, as their lists show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from addons.expiry import leaves_by_authority, seen_on
from addons.health import counts_since
from addons.models import Authority, Certificate, NodeInstallation
from addons.pki.facts import read_certificate
from addons.renewal.plan import Renewal
from addons.renewal.standing import renewals_of
from panel.pages.expiry import ending_shown
from panel.pages.renewal import RenewalShown, renewal_shown
from panel.pages.state import BAD, OK, UNKNOWN, Shown


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node's certificate in the list.

    Args:
        seen: What was last seen of it where it is used, with the time.
        other: The fingerprint that was seen instead of its own.
        renewal: What becomes of it before its end.
    """

    certificate: Certificate
    shown: Shown
    seen: Shown
    other: str
    renewal: RenewalShown | None


@dataclass(frozen=True, slots=True)
class AuthorityLine:
    """An authority in the list.

    Args:
        leaves: How many certificates that it issued are in force.
    """

    authority: Authority
    shown: Shown
    serial: str
    leaves: int


def leaf_lines(certificates: Iterable[Certificate], now: datetime) -> list[Leaf]:
    """Return the lines of certificates from `addons.expiry.leaves_listed`."""
    shown = list(certificates)
    nodes = {each.node_id for each in shown if each.node_id}
    rows, renewals = seen_on(nodes), renewals_of(nodes, now)
    return [
        _leaf(each, rows.get(each.node_id or 0), renewals.get(each.node_id or 0), now)
        for each in shown
    ]


def authority_lines(authorities: Iterable[Authority], now: datetime) -> list[AuthorityLine]:
    """Return the lines of authorities from `addons.expiry.authorities_listed`."""
    shown = list(authorities)
    leaves = leaves_by_authority(shown)
    return [
        AuthorityLine(
            each, ending_shown(each.not_after, now), _serial(each), leaves.get(each.pk, 0)
        )
        for each in shown
    ]


def _leaf(
    certificate: Certificate,
    row: NodeInstallation | None,
    renewal: Renewal | None,
    now: datetime,
) -> Leaf:
    server = certificate.purpose == "server"
    observed = row.observed if row else {}
    found = str(observed.get("fingerprint" if server else "client_fingerprint") or "")
    at = row.observed_at if row else None
    if not found:
        seen, other = Shown(UNKNOWN, "Not observed"), ""
    elif found == certificate.fingerprint:
        fresh = at is not None and at > counts_since(now)
        word = "Served" if server else "In place"
        seen, other = Shown(OK if fresh else UNKNOWN, word, at=at), ""
    else:
        seen, other = Shown(BAD, "Another one", at=at), found
    return Leaf(
        certificate,
        ending_shown(certificate.not_after, now),
        seen,
        other,
        renewal_shown(renewal) if renewal else None,
    )


def _serial(authority: Authority) -> str:
    return read_certificate(authority.certificate).serial
