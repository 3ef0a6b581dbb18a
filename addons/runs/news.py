"""What runs came to lately, for whoever was not watching. Read from the audit log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Max

from addons.models import Run
from instances.models import AuditEvent

_VERBS = {
    f"run.{state.value}": state
    for state in (
        Run.State.PREVIEWED,
        Run.State.SUCCEEDED,
        Run.State.PUT_BACK,
        Run.State.REFUSED,
        Run.State.STUCK,
    )
}
_TARGET = re.compile(r"run (\d+):")
_MOST = 50


@dataclass(frozen=True, slots=True)
class News:
    """What happened since somebody looked.

    Args:
        last: The latest event: what to ask from the next time.
        runs: Those that are still as the events left them, the latest first.
    """

    last: int
    runs: Sequence[Run]


def last_event() -> int:
    """Return the key of the audit log's latest event; 0 where there is none."""
    return AuditEvent.objects.aggregate(last=Max("pk"))["last"] or 0


def run_news(after: int) -> News:
    """Return which runs ended or wait for confirmation; one query where none does.

    Args:
        after: The key of the event up to which the person knows.
    """
    found = AuditEvent.objects.filter(pk__gt=after, verb__in=_VERBS).order_by("-pk")
    events = list(found.values_list("pk", "verb", "target")[:_MOST])
    if not events:
        return News(after, [])
    left: dict[int, str] = {}
    for _, verb, target in events:
        if number := _TARGET.match(target):
            left.setdefault(int(number[1]), _VERBS[verb])
    runs = Run.objects.select_related("installation__group__environment").in_bulk(left)
    still = [runs[pk] for pk, state in left.items() if pk in runs and runs[pk].state == state]
    return News(events[0][0], still)
