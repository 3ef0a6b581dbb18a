"""How long ago something was, in a word or two."""

from datetime import timedelta

_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def age(passed: timedelta) -> str:
    """Return a duration in its largest unit, as the tag `ago` shows it; the future as ``in ..``."""
    seconds = int(passed.total_seconds())
    for length, unit in _UNITS:
        if abs(seconds) >= length:
            count = f"{abs(seconds) // length} {unit}"
            return f"{count} ago" if seconds > 0 else f"in {count}"
    return "now"
