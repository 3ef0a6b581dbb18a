"""Waiting for what the worker does, by looking at the database."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from addons.models import Run, RunNode, StepRecord
from instances.models import Node

_POLL_SECONDS = 0.15
UNTAKEN_SECONDS = 15.0
"""After this long a run that no worker has taken is worth a word."""


class Watcher(Protocol):
    """Sees a run change."""

    def saw(self, run: Run, nodes: Sequence[RunNode], records: Sequence[StepRecord]) -> None:
        """Show the run as it is now, and the records that are new."""

    def untaken(self, run: Run) -> None:
        """Say, once, that no worker has taken the run yet."""


def run_follow(run: int, *, until: Callable[[Run], bool], watcher: Watcher) -> Run:
    """Show a run to the watcher until it is as wished, and return it."""
    last, began, warned = 0, time.monotonic(), False
    while True:
        # The run before its records: those of a run that has ended are all there.
        now = Run.objects.select_related("installation__group__environment").get(pk=run)
        records = records_after(now, last)
        last = records[-1].pk if records else last
        watcher.saw(now, list(now.nodes.select_related("node")), records)
        if until(now):
            return now
        waited = time.monotonic() - began
        if not warned and waited > UNTAKEN_SECONDS and now.lease_until is None:
            watcher.untaken(now)
            warned = True
        time.sleep(_POLL_SECONDS)


def records_after(run: Run, last: int) -> list[StepRecord]:
    """Return what the run's steps say, after the record with this id."""
    return list(
        run.records.filter(pk__gt=last)
        .exclude(kind=StepRecord.Kind.BEFORE)
        .defer("state")
        .select_related("node")
        .order_by("pk")
    )


def nodes_looked_at(nodes: Sequence[Node], *, seconds: float) -> list[Node]:
    """Wait until each node was looked at again, and return them as they are then.

    Args:
        nodes: As they were before the looks were asked for.
        seconds: How long to wait; a node that was not looked at by then has its old `looked_at`.
    """
    deadline = time.monotonic() + seconds
    before = {node.pk: node.looked_at for node in nodes}
    while True:
        rows = Node.objects.select_related("machine", "group__environment").in_bulk(list(before))
        waiting = [pk for pk, at in before.items() if pk in rows and rows[pk].looked_at == at]
        if not waiting or time.monotonic() > deadline:
            return [rows[node.pk] for node in nodes if node.pk in rows]
        time.sleep(_POLL_SECONDS)
