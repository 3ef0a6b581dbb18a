"""Maintenance windows as their page shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from instances.models import MaintenanceWindow


@dataclass(frozen=True, slots=True)
class WindowLine:
    """A window.

    Args:
        days: On which it opens, in words.
        next: When it opens next; the present time while it is open.
        is_open: Whether it is.
    """

    window: MaintenanceWindow
    days: str
    next: datetime
    is_open: bool


def window_lines(windows: Iterable[MaintenanceWindow], now: datetime) -> list[WindowLine]:
    """Return the lines of windows, the one that opens first ahead."""
    lines = [_line(each, now) for each in windows]
    return sorted(lines, key=lambda line: line.next)


def _line(each: MaintenanceWindow, now: datetime) -> WindowLine:
    opens = each.window.opening(now)
    return WindowLine(each, each.window.days, opens, opens == now)
