"""Search: a page, and the list below the field in the top bar."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from panel.pages.search import LONGEST
from panel.pages.search import search as find

IN_LIST, ON_PAGE = 5, 25


@vary_on_headers("HX-Request")
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Show what holds the words that were typed."""
    text = request.GET.get("q", "").strip()[:LONGEST]
    part = bool(request.htmx)  # type: ignore[attr-defined]  # django-htmx's middleware adds it
    found = find(text, most=IN_LIST if part else ON_PAGE)
    context = {"search_text": text, "found": found, "longest": LONGEST}
    return render(request, "search/_list.html" if part else "search/page.html", context)
