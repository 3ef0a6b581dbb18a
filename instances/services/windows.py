"""Setting and taking away an environment's maintenance windows."""

from collections.abc import Iterable
from datetime import time
from zoneinfo import available_timezones

from django.db import transaction

from instances.audit import Actor, audit
from instances.errors import Invalid
from instances.models import Environment, MaintenanceWindow
from instances.services.saving import save_clean


def window_add(
    *,
    actor: Actor,
    environment: Environment,
    weekdays: Iterable[int],
    start: time,
    hours: int,
    zone: str,
) -> MaintenanceWindow:
    """Add a window to an environment.

    Args:
        weekdays: Monday being 0.
        start: By the clocks of `zone`.
        hours: How long it is open, 1 to 24.
        zone: A name of the tz database, such as Europe/Berlin.

    Raises:
        Invalid: An input is not acceptable.
    """
    days = sorted(set(weekdays))
    if not days or not set(days) <= set(range(7)):
        raise Invalid("weekdays", "Choose at least one day of the week.")
    if zone not in available_timezones():
        raise Invalid("zone", f"There is no time zone “{zone}”.", "Write it as Europe/Berlin.")
    window = MaintenanceWindow(
        environment=environment, weekdays=days, start=start, hours=hours, zone=zone
    )
    with transaction.atomic():
        save_clean(window)
        audit(actor, "window.add", window, hours=hours)
    return window


def window_remove(*, actor: Actor, window: MaintenanceWindow) -> None:
    """Take a window away; without any, automatic work begins at any time."""
    with transaction.atomic():
        audit(actor, "window.remove", window, hours=window.hours)
        window.delete()
