"""What happened elsewhere: polled by every page, answered only where there is something."""

from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from addons.runs.news import last_event, run_news
from panel.pages import notices as pages
from panel.pages.node import STOP_POLLING

KNOWN = "notices_known"
"""The latest event that this session was told of."""
NOTHING = 204


# A session that has ended must not have the page reloaded: a form may be half filled in.
@login_not_required
@require_safe
def notices(request: HttpRequest) -> HttpResponse:
    """Tell of runs that ended or wait since this session was last told."""
    if not request.user.is_authenticated:
        return HttpResponse(status=STOP_POLLING)
    known = request.session.get(KNOWN)
    if known is None:
        request.session[KNOWN] = last_event()
        return HttpResponse(status=NOTHING)
    news = run_news(known)
    if news.last != known:
        request.session[KNOWN] = news.last
    address = urlsplit(request.headers.get("HX-Current-URL", "")).path
    found = pages.notices(news.runs, address=address)
    if not found.shown:
        return HttpResponse(status=NOTHING)
    return render(request, "notices/_toasts.html", {"notices": found})
