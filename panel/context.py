"""What every page shows around its own content."""

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, object]:
    """Return the runs that are under way, for the top bar; nothing for visitors."""
    from addons.selectors import runs_under_way  # noqa: PLC0415 -- models load after settings

    if not request.user.is_authenticated:
        return {}
    return {"runs_under_way": runs_under_way()}
