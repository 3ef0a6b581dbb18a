"""The legs of a group's way to TLS and back, each measured by somebody who writes meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from tests.topology.writer import Written, writing

LONGEST_PAUSE_S = 1.0
FEWEST = 100
"""Writes in a leg: with fewer of them a pause could go unseen."""


class Measured(Protocol):
    """A group of servers that is led."""

    @property
    def full_syncs(self) -> int:
        """How many replicas have got everything anew, as its servers count."""

    @property
    def roles(self) -> dict[str, str]:
        """Who is a primary, who a replica."""

    def has_all(self, written: Written) -> None:
        """Insist that every write that was acknowledged is on every server it belongs to."""


Leg = Callable[..., AbstractContextManager[Written]]
"""Of the fixture: ``leg(group, what, client)``."""


def recording(record: Callable[[str, object], None]) -> Leg:
    """Return what measures a leg, and has it printed at the end of the test run.

    Args:
        record: Takes a name and what is to be printed.
    """

    @contextmanager
    def leg(
        group: Measured, what: str, client: Any, *, restarts: bool = False
    ) -> Iterator[Written]:
        """Write inside the block; afterwards nothing is lost, nobody was put back or paused.

        Args:
            what: Which leg it is, in words.
            client: That writes.
            restarts: Whether servers restart: then pauses, and full resyncs, are counted alone.
        """
        roles, syncs = group.roles, group.full_syncs
        with writing(client) as written:
            yield written
        more = group.full_syncs - syncs
        pause = f"longest pause {written.longest_s * 1000:.0f} ms"
        counted = (
            f"{syncs + more} full resyncs since the last start"
            if restarts
            else (f"{more} full resyncs")
        )
        record("measured", f"{what}: {pause} in {written.last} writes, {counted}")
        group.has_all(written)
        if restarts:
            return
        assert written.errors == []
        assert written.longest_s < LONGEST_PAUSE_S, f"{what}: {pause}"
        assert written.last >= FEWEST
        assert (group.roles, more) == (roles, 0), f"{what}: {more} full resyncs"

    return leg
