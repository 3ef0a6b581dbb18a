"""Reads for pages and commands."""

from addons.models import Run


def runs_under_way() -> int:
    """Return how many runs are queued or running."""
    return Run.objects.filter(state__in=[*Run.WAITING, *Run.ACTIVE]).count()
