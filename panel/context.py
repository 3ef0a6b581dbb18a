"""What every page shows around its own content."""

from collections.abc import Mapping

from django.http import HttpRequest

NAVIGATION = (
    ("dashboard", "Dashboard", "home"),
    ("environments", "Environments", "server-2"),
    ("nodes", "Nodes", "database"),
    ("addons", "Add-ons", "puzzle"),
    ("certificates", "Certificates", "certificate"),
    ("credentials", "SSH keys", "key"),
    ("runs", "Runs", "player-play"),
    ("search", "Search", "search"),
    ("audit", "Audit log", "list-details"),
)
_SECTIONS: Mapping[str, str] = {
    "environment": "environments",
    "group": "environments",
    "archive": "environments",
    "archived": "environments",
    "node": "nodes",
    "credential": "credentials",
    "addon": "addons",
    "run": "runs",
    "bundle": "runs",
}


def shell(request: HttpRequest) -> dict[str, object]:
    """Return the navigation and the runs under way; nothing for visitors."""
    from addons.selectors import runs_under_way  # noqa: PLC0415 -- models load after settings

    # A page that failed before the session was read has no user.
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    current = _section(request)
    items = [
        {"url": url, "title": title, "icon": icon, "active": url == current}
        for url, title, icon in NAVIGATION
    ]
    return {"navigation": items, "runs_under_way": runs_under_way()}


def _section(request: HttpRequest) -> str:
    """Return the page in the navigation that the present one belongs to."""
    match = request.resolver_match
    word = ((match and match.url_name) or "").partition("-")[0]
    return _SECTIONS.get(word, word)
