"""Maintenance windows: when work may begin that nobody asked for. Pure: the clock is passed in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Window:
    """A window that opens each week.

    Args:
        weekdays: Those on which it opens, Monday being 0.
        start: When, by the clocks of its zone. Where summer time skips that time the window opens
            as much later; where it comes twice, the first time.
        length: How long it is open, by the seconds that pass.
    """

    weekdays: frozenset[int]
    start: time
    length: timedelta
    zone: ZoneInfo

    def opening(self, at: datetime) -> datetime:
        """Return the first moment from `at` on at which it is open.

        Args:
            at: An aware moment.
        """
        return next(max(at, opens) for opens in self._openings(at) if opens + self.length > at)

    def _openings(self, at: datetime) -> Iterator[datetime]:
        """Yield when it opens, from the week before on."""
        day = at.astimezone(self.zone).date() - timedelta(days=8)
        while True:
            if day.weekday() in self.weekdays:
                yield datetime.combine(day, self.start, self.zone).astimezone(UTC)
            day += timedelta(days=1)

    @property
    def days(self) -> str:
        """Return the days in words, such as ``Saturday and Sunday``."""
        if len(self.weekdays) == len(DAYS):
            return "every day"
        *some, last = (DAYS[day] for day in sorted(self.weekdays))
        return f"{', '.join(some)} and {last}" if some else last


@dataclass(frozen=True, slots=True)
class Opening:
    """When work may begin.

    Args:
        at: The moment.
        window: The window that is open then; None where there are none, so that it always may.
    """

    at: datetime
    window: Window | None = None


def next_opening(windows: Iterable[Window], at: datetime) -> Opening:
    """Return the first moment from `at` on at which one of the windows is open; `at` without any.

    Args:
        at: An aware moment.
    """
    openings = [Opening(window.opening(at), window) for window in windows]
    return min(openings, key=lambda opening: opening.at, default=Opening(at))
