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
        since: When the status last changed, ISO 8601 in UTC.
    """

    type: str
    status: str
    reason: str
    message: str
    generation: int
    since: str


def merge(old: list[Mapping[str, Any]], new: Condition) -> list[dict[str, Any]]:
    """Return the conditions with `new` in place; ``since`` is kept while the status stays."""
    kept = [dict(c) for c in old if c["type"] != new.type]
    before = next((c for c in old if c["type"] == new.type), None)
    row = asdict(new)
    if before is not None and before["status"] == new.status:
        row["since"] = before["since"]
    return [*kept, row]


def decisive(conditions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the condition that decides: the first that is false, else unknown, else true."""
    for status in ("false", "unknown", "true"):
        for condition in conditions:
            if condition["status"] == status:
                return condition
    return None


__all__ = ["Condition", "Reason", "decisive", "merge"]
