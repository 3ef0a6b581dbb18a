"""The one family of errors that services raise for what a person can mend."""

# ruff: noqa: N818 (the names say what is wrong: `except NotFound` reads as a sentence)

from collections.abc import Mapping

from instances.reason import Reason


class DomainError(Exception):
    """A request cannot be carried out, and the person who made it can do something about it.

    Args:
        reason: What happened, where, and the next step.
        field: The name of the input that is wrong, where it is one.
    """

    def __init__(self, reason: Reason, *, field: str = "") -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.field = field

    def as_json(self) -> Mapping[str, str]:
        """Return {reason, message, next_step} as faults and failures are stored."""
        return fault(self.reason)


class Invalid(DomainError):
    """An input is not acceptable."""

    def __init__(self, field: str, message: str, next_step: str = "") -> None:
        super().__init__(Reason("Invalid", message, next_step), field=field)


class NotFound(DomainError):
    """Nothing has that name."""


class Conflict(DomainError):
    """The present state of things forbids it."""


def fault(reason: Reason) -> dict[str, str]:
    """Return a reason as it is stored on a node or a run."""
    # PostgreSQL keeps no NUL in JSON, and a node's answer may hold one.
    message = reason.message.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return {"reason": reason.code, "message": message, "next_step": reason.next_step}
