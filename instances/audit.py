"""Writing the audit log."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from instances.models import AuditEvent


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a signed-in user, or somebody at the panel's own terminal.

    Args:
        user_id: The user's primary key; None at the terminal and for the panel itself.
        name: What the log shows.
        source: An IP address, or ``terminal``, or ``panel``.
    """

    user_id: int | None
    name: str
    source: str


PANEL = Actor(None, "redoubt", "panel")


def audit(actor: Actor, verb: str, target: Model | str, **detail: Any) -> None:
    """Append one event. Call it in the transaction of the change it tells of."""
    AuditEvent(
        actor_id=actor.user_id,
        actor_name=actor.name,
        source=actor.source,
        verb=verb,
        target=str(target)[:200],
        detail=detail,
    ).save()
