"""From when and until when a certificate holds."""

from datetime import UTC, datetime, timedelta

from addons.pki.errors import CertificateError

BACKDATE = timedelta(hours=1)
"""How far not-before lies back, so that a node whose clock is slow accepts a new certificate."""

LONGEST_LIFETIME = 3650


def whole_seconds(moment: datetime) -> datetime:
    """Return an aware moment in UTC without its fraction, which certificates do not have.

    Raises:
        ValueError: The moment is naive.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).replace(microsecond=0)


def days(span: timedelta) -> str:
    """Say a span in whole days: ``1 day``, ``12 days``, ``less than a day``."""
    count = abs(span) // timedelta(days=1)
    return {0: "less than a day", 1: "1 day"}.get(count, f"{count} days")


def validate_lifetime(days: int) -> None:
    """Check a lifetime in days.

    Raises:
        CertificateError: ``LifetimeInvalid``, outside 1 to 3650.
    """
    if not 1 <= days <= LONGEST_LIFETIME:
        raise CertificateError(
            "LifetimeInvalid",
            f"A certificate holds for 1 to {LONGEST_LIFETIME} days; {days} was asked for.",
        )
