"""When a node's certificates are renewed, or why they are not. Pure: the clock is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from instances.windows import Opening, Window, next_opening

LAST_DAYS = timedelta(days=3)
"""With less than that left, nobody waits for a window that opens after the end."""
FIRST_WAIT = timedelta(hours=1)
LONGEST_WAIT = timedelta(days=1)
_SHORTEST_WAIT = timedelta(minutes=15)
TOGETHER = timedelta(days=1)
"""How much earlier than it is due a certificate may go with others, at most."""


class Way(Enum):
    """What becomes of a node's certificates."""

    PLANNED = "planned"
    UNDER_WAY = "under way"
    HELD = "held"
    STUCK = "stuck"
    FAILED = "failed"
    UNREACHED = "unreached"
    OFF = "off"
    LAST = "last"


FINE = frozenset({Way.PLANNED, Way.UNDER_WAY, Way.HELD})
"""Where nobody has to do anything."""
_STARTS = frozenset({Way.PLANNED, Way.FAILED})


@dataclass(frozen=True, slots=True)
class Failures:
    """Renewals of a node that failed, since its certificates were issued.

    Args:
        count: How many.
        at: When the latest one ended.
        why: What it said.
    """

    count: int
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about a node.

    Args:
        due: When a third of its certificates' life is left.
        ends: When the first of them ends.
        gains: Whether new ones would hold longer: their authority may end first.
        on: Whether they are renewed at all.
        reached: Whether the latest look reached the node.
        windows: Of its environment; none where work may begin at any time.
        run: A run that has the node's group, or is to have it.
        stuck: Whether that run is.
        previewed: Whether that run is a preview that waits for somebody.
    """

    due: datetime
    ends: datetime
    gains: bool = True
    on: bool = True
    reached: bool = True
    windows: Sequence[Window] = ()
    run: int | None = None
    stuck: bool = False
    previewed: bool = False
    failures: Failures | None = None


@dataclass(frozen=True, slots=True)
class Renewal:
    """What becomes of a node's certificates, and when.

    Args:
        at: When it begins, or is tried again; None where it does not.
        window: The window that is open then.
        outside: Whether it begins outside the windows, as the certificate would end before.
        run: The run that does it, or stands in the way.
        why: What the latest failure said.
    """

    way: Way
    at: datetime | None = None
    window: Window | None = None
    outside: bool = False
    run: int | None = None
    why: str = ""

    def starts(self, now: datetime) -> bool:
        """Say whether it is to begin now."""
        return self.way in _STARTS and self.at is not None and self.at <= now


def renewal_of(standing: Standing, now: datetime) -> Renewal:
    """Decide when a node's certificates are renewed, or say why they are not."""
    if not standing.on:
        return Renewal(Way.OFF)
    if not standing.gains:
        return Renewal(Way.LAST)
    if standing.run is not None and standing.due <= now and not _overruled(standing, now):
        way = Way.HELD if standing.previewed else Way.STUCK if standing.stuck else Way.UNDER_WAY
        return Renewal(way, run=standing.run)
    if not standing.reached and standing.due <= now:
        return Renewal(Way.UNREACHED)
    failures = standing.failures
    earliest = max(standing.due, now)
    if failures:
        earliest = max(earliest, failures.at + wait(failures, standing.ends))
    opening, outside = _begin(standing, earliest)
    way, why = (Way.FAILED, failures.why) if failures else (Way.PLANNED, "")
    return Renewal(way, opening.at, opening.window, outside=outside, why=why)


def wait(failures: Failures, ends: datetime) -> timedelta:
    """Return how long to wait after a failure: twice as long each time, up to a day.

    Of what is left until the end it takes a quarter at most.
    """
    doubled: timedelta = FIRST_WAIT * 2 ** min(failures.count - 1, 8)
    return min(doubled, LONGEST_WAIT, max((ends - failures.at) / 4, _SHORTEST_WAIT))


def slack(due: datetime, ends: datetime) -> timedelta:
    """Return how much earlier a certificate may be renewed to go with others of its group.

    Those of one install are some seconds or minutes apart.
    """
    return min(TOGETHER, (ends - due) / 10)


def _begin(standing: Standing, earliest: datetime) -> tuple[Opening, bool]:
    opening = next_opening(standing.windows, earliest)
    if opening.window is None or opening.at < standing.ends:
        return opening, False
    return Opening(max(earliest, standing.ends - LAST_DAYS)), True


def _overruled(standing: Standing, now: datetime) -> bool:
    """Say whether a preview that nobody confirms has to stand back."""
    return standing.previewed and standing.ends - now <= LAST_DAYS
