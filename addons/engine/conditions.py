"""Conditions: what is so on a node, why, and since when."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from instances.reason import Reason


@dataclass(frozen=True, slots=True)
class Condition:
    """One aspect of an installation on a node, in the manner of Kubernetes' API conventions.

    Args:
        type: The aspect, such as ``Encrypted``.
        status: ``true``, ``false`` or ``unknown``; never true for what was not observed.
        generation: The generation of the wanted spec that was looked at.
        since: When status or reason last changed, ISO 8601 in UTC.
    """

    type: str
    status: str
    reason: str
    message: str
    generation: int
    since: str


REACHED = "Reached"
"""Whether the node could be looked at: true, unknown where its machine was out of reach."""
AS_WANTED = "AsWanted"
"""Whether files, firewall and running server say what is wanted."""


def merge(old: Sequence[Mapping[str, Any]], new: Condition) -> list[dict[str, Any]]:
    """Return the conditions with `new` last; ``since`` is kept while status and reason stay."""
    kept = [dict(c) for c in old if c["type"] != new.type]
    before = next((c for c in old if c["type"] == new.type), None)
    row = asdict(new)
    if before is not None and (before["status"], before["reason"]) == (new.status, new.reason):
        row["since"] = before["since"]
    return [*kept, row]


def decisive(conditions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the condition that decides.

    That a node was not reached goes before all else: the others tell of an earlier time. Then it is
    the first that is false, else the first that is unknown, else the latest.
    """
    ahead = sorted(conditions, key=lambda each: each["type"] != REACHED)
    for status in ("false", "unknown"):
        for condition in ahead:
            if condition["status"] == status or _out_of_reach(condition):
                return condition
    return conditions[-1] if conditions else None


def _out_of_reach(condition: Mapping[str, Any]) -> bool:
    return bool(condition["type"] == REACHED and condition["status"] != "true")


__all__ = ["AS_WANTED", "REACHED", "Condition", "Reason", "decisive", "merge"]
