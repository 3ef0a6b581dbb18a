"""What becomes of certificates before their end, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.timezone import localtime

from addons.renewal.plan import Renewal, Way
from instances.windows import Window
from panel.pages.state import BAD, OK, RUN, UNKNOWN, WAIT


@dataclass(frozen=True, slots=True)
class RenewalShown:
    """A renewal.

    Args:
        kind: As of a state.
        says: A phrase; `at` follows it where there is one.
        at: When it begins.
        where: The window in which it begins, or why outside of any.
        run: The run that it waits for.
        why: What the latest failure said.
    """

    kind: str
    says: str
    at: datetime | None = None
    where: str = ""
    run: int | None = None
    why: str = ""

    @property
    def text(self) -> str:
        """Return all of it as plain text, for terminals and summaries."""
        parts = [self.says]
        if self.at:
            parts.append(f"{localtime(self.at):%-d %b %Y %H:%M %Z}")
        if self.run:
            parts.append(str(self.run))
        return " ".join(parts) + (f", {self.where}" if self.where else "")


_SAYS: Mapping[Way, tuple[str, str]] = {
    Way.PLANNED: (OK, "Renews by itself about"),
    Way.UNDER_WAY: (RUN, "Waits for the end of run"),
    Way.HELD: (WAIT, "Waits until somebody confirms or discards run"),
    Way.STUCK: (BAD, "Renewal waits for stuck run"),
    Way.FAILED: (BAD, "Renewal failed, next try about"),
    Way.UNREACHED: (BAD, "Renewal is due, and waits for the node to answer"),
    Way.OFF: (UNKNOWN, "Renewal is off"),
    Way.LAST: (WAIT, "Ends with its authority: a new one could not hold longer"),
}
_OUTSIDE = "outside the maintenance windows: it would end before the next one opens"
_GRAVITY = (
    *(Way.STUCK, Way.FAILED, Way.UNREACHED, Way.LAST, Way.HELD, Way.OFF),
    *(Way.UNDER_WAY, Way.PLANNED),
)


def renewal_shown(renewal: Renewal) -> RenewalShown:
    """Return a renewal in words."""
    kind, says = _SAYS[renewal.way]
    where = _OUTSIDE if renewal.outside else in_window(renewal.window) if renewal.window else ""
    return RenewalShown(kind, says, renewal.at, where, renewal.run, renewal.why)


def in_window(window: Window) -> str:
    """Say in which window something begins."""
    on = "" if window.days == "every day" else "on "
    return f"in the window {on}{window_words(window)}"


def window_words(window: Window) -> str:
    """Say when a window opens: ``Sunday 02:00 Europe/Berlin``."""
    return f"{window.days} {window.start:%H:%M} {window.zone.key}"


def foremost(renewals: Mapping[int, Renewal]) -> tuple[int, Renewal] | None:
    """Return the renewal of a group that a person has to know first, with its node."""
    return min(
        renewals.items(),
        key=lambda item: (_GRAVITY.index(item[1].way), item[1].at.timestamp() if item[1].at else 0),
        default=None,
    )
