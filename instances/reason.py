"""Answers that say why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is so.

    Args:
        code: CamelCase, for programs.
        message: A sentence for people: what is so, and where.
        next_step: What to do about it, where there is something to do.
    """

    code: str
    message: str
    next_step: str = ""
