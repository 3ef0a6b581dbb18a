"""Why something is so: a code for programs, a message for people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """An answer to "why".

    Args:
        code: One CamelCase word that does not change between releases, such as ``NearingExpiry``.
        message: A sentence for a person.
    """

    code: str
    message: str
