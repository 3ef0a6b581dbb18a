"""What is on a node other than wanted: the plan that would lead there, inspected, not applied."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from addons.engine.step import Change, Plan, State, preview

N = TypeVar("N")

_DIFFERENCE = frozenset({"add", "del"})


def drift_of(plan: Plan[N], states: Mapping[str, State]) -> list[dict[str, Any]]:
    """Return {step, place, lines} of whatever an installed add-on's own plan would change.

    A line of kind ``del`` is as it was found, ``add`` as it is wanted. What the plan would only do
    in the wake of another step, such as loading a certificate again, shows no such line.

    Args:
        plan: With the settings that are in force.
        states: What its steps saw.
    """
    return [
        {
            "step": step,
            "place": place_of(change),
            "lines": [asdict(line) for line in change.lines],
        }
        for step, change in preview(plan, states).changes
        if any(line.kind in _DIFFERENCE for line in change.lines)
    ]


def place_of(change: Change) -> str:
    """Return where a change is, as its first heading has it, after line numbers if it has any."""
    headings = (line.text for line in change.lines if line.kind == "hunk")
    parts = [part.strip() for part in next(headings, change.says).split("@@")]
    # What follows a comma is how it would be changed there.
    return next(part for part in reversed(parts) if part).partition(",")[0]


def places(drift: Sequence[Mapping[str, Any]]) -> str:
    """Name the places in one sentence."""
    named = list(dict.fromkeys(str(each["place"]) for each in drift))
    return f"{', '.join(named)} {'is' if len(named) == 1 else 'are'} not as wanted."
