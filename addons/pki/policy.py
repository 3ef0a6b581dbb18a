"""When a certificate is to be issued anew, and why. Pure: the clock is an argument."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction

from addons.pki.facts import LeafFacts
from addons.pki.leaf import LeafRequest
from addons.pki.reason import Reason
from addons.pki.validity import BACKDATE, days, validate_lifetime, whole_seconds

__all__ = [
    "Reason",
    "days_to_warn_of",
    "reasons_to_reissue",
    "reasons_to_replace_authority",
    "renewal_due",
    "validate_lifetime",
]

RENEW_AT = Fraction(1, 3)
WARN_AT = (30, 14, 7)
"""Days before its end at which what is not renewed by itself is warned of."""


def renewal_due(
    not_before: datetime, not_after: datetime, *, renew_at: float | Fraction = RENEW_AT
) -> datetime:
    """Return from when on a certificate is to be renewed.

    Args:
        renew_at: The share of its life that is left then.
    """
    return not_after - (not_after - not_before) * float(renew_at)


def days_to_warn_of(not_before: datetime, not_after: datetime, now: datetime) -> int | None:
    """Return within how many days something ends, of `WARN_AT`; 0 once it has ended.

    None while that is nothing to warn of: more than a third of its life is left, or it was made for
    no longer than that.

    Args:
        now: An aware moment.
    """
    if now >= not_after:
        return 0
    within = [days for days in WARN_AT if not_after - now <= timedelta(days=days)]
    held = not_after - not_before - BACKDATE
    if not within or now < renewal_due(not_before, not_after) or held <= timedelta(within[-1]):
        return None
    return within[-1]


def reasons_to_reissue(
    *,
    current: LeafFacts | None,
    wanted: LeafRequest,
    authority: LeafFacts,
    now: datetime,
    renew_at: float | Fraction = RENEW_AT,
) -> list[Reason]:
    """Say why the current certificate does not do; an empty list means that it does.

    Args:
        current: What is on the node, or None.
        wanted: What should be there.
        authority: The authority that should have issued it.
        now: An aware moment.
        renew_at: The share of its life that is left when it is to be renewed; one third, as
            cert-manager has it, leaves time for several tries.

    Returns:
        Reasons of the codes ``Missing``, ``Expired``, ``NearingExpiry``, ``NotYetValid``,
        ``AuthorityDiffers``, ``NamesDiffer``, ``SubjectDiffers``, ``KeyTypeDiffers``,
        ``PurposeDiffers``, ``LifetimeDiffers``.
    """
    if current is None:
        return [Reason("Missing", f"There is no certificate for {wanted.common_name}.")]
    moment = whole_seconds(now)
    found = (
        _age(current, authority, moment, renew_at),
        _issuer(current, authority),
        *_content(current, wanted),
        _lifetime(current, wanted, authority),
    )
    return [reason for reason in found if reason]


def reasons_to_replace_authority(
    *,
    authority: LeafFacts,
    now: datetime,
    leaf_lifetime_days: int,
    renew_at: float | Fraction = RENEW_AT,
) -> list[Reason]:
    """Say why an authority is to be rotated.

    Args:
        authority: The authority's facts.
        now: An aware moment.
        leaf_lifetime_days: How long its leaves should hold; an authority that ends sooner than
            that cuts them short.
        renew_at: The share of its life that is left when it is to be rotated.

    Returns:
        Reasons of the codes ``AuthorityExpired``, ``AuthorityNearingExpiry``,
        ``AuthorityShortensLeaves``.
    """
    left = authority.not_after - whole_seconds(now)
    if left < timedelta(0):
        return [Reason("AuthorityExpired", f"The authority expired {days(left)} ago.")]
    found = []
    if left <= (authority.not_after - authority.not_before) * float(renew_at):
        found.append(Reason("AuthorityNearingExpiry", f"The authority expires in {days(left)}."))
    if left < timedelta(days=leaf_lifetime_days):
        message = f"New certificates end with their authority, in {days(left)}."
        found.append(Reason("AuthorityShortensLeaves", message))
    return found


def _age(
    current: LeafFacts, authority: LeafFacts, now: datetime, renew_at: float | Fraction
) -> Reason | None:
    left = current.not_after - now
    if left < timedelta(0):
        return Reason("Expired", f"The certificate expired {days(left)} ago.")
    if now < current.not_before:
        return Reason(
            "NotYetValid", f"The certificate holds only in {days(current.not_before - now)}."
        )
    # One that ends with its authority gains nothing by being issued anew: without this it would
    # be renewed ever more often. `reasons_to_replace_authority` speaks up instead.
    gains = current.not_after < authority.not_after
    due = renewal_due(current.not_before, current.not_after, renew_at=renew_at)
    if gains and now >= due:
        return Reason("NearingExpiry", f"The certificate expires in {days(left)}.")
    return None


def _issuer(current: LeafFacts, authority: LeafFacts) -> Reason | None:
    # The key identifier too: an authority renewed under the same name has another key.
    known = bool(current.authority_key_id and authority.subject_key_id)
    same_key = not known or current.authority_key_id == authority.subject_key_id
    if current.issuer == authority.subject and same_key:
        return None
    return Reason(
        "AuthorityDiffers", f"It was issued by {current.issuer}, not by {authority.subject}."
    )


def _content(current: LeafFacts, wanted: LeafRequest) -> Iterator[Reason]:
    have = {*current.dns_names, *current.ip_addresses}
    want = {*wanted.dns_names, *wanted.ip_addresses}
    if have != want:
        yield Reason("NamesDiffer", _difference(have, want))
    if current.common_name != wanted.common_name:
        yield Reason(
            "SubjectDiffers", f"It is for {current.common_name}, not for {wanted.common_name}."
        )
    if current.key_type != wanted.key_type:
        yield Reason("KeyTypeDiffers", f"Its key is {current.key_type}, not {wanted.key_type}.")
    if current.purpose != wanted.purpose:
        yield Reason("PurposeDiffers", f"It is a {current.purpose}'s, not a {wanted.purpose}'s.")


def _difference(have: set[str], want: set[str]) -> str:
    parts = []
    if missing := sorted(want - have):
        parts.append(f"lacks {', '.join(missing)}")
    if extra := sorted(have - want):
        parts.append(f"still names {', '.join(extra)}")
    return f"The certificate {' and '.join(parts)}."


def _lifetime(current: LeafFacts, wanted: LeafRequest, authority: LeafFacts) -> Reason | None:
    span = timedelta(days=wanted.lifetime_days)
    expected = min(current.not_before + BACKDATE + span, authority.not_after)
    # Not-before may lie less than BACKDATE back, where the authority itself is younger.
    if abs(current.not_after - expected) <= BACKDATE:
        return None
    held = days(current.not_after - current.not_before)
    return Reason("LifetimeDiffers", f"It holds for {held}, not for {days(span)}.")
