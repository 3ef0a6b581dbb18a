"""Archiving what is no longer used, with its record kept, and bringing it back."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from addons.archiving import place_archive
from instances.archived import archived_place, archived_places
from instances.models import Environment
from instances.selectors import node_numbered
from instances.services.archive import Place, place_restore
from panel.pages import archive as pages
from panel.views.groups import group_or_404
from panel.views.requests import actor_of, attempt

PAGE = 25


@require_safe
def archive(request: HttpRequest) -> HttpResponse:
    """List what is archived, a page at a time."""
    text = request.GET.get("q", "").strip()
    page = Paginator(archived_places(text), PAGE).get_page(request.GET.get("page"))
    return render(request, "archive/list.html", {"page": page, "text": text})


@require_safe
def archived(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Show what is on record of something archived."""
    page = pages.archived(_archived_or_404(kind, pk))
    return render(request, "archive/detail.html", {"page": page, "lines": page.runs, "kind": kind})


@require_POST
def archived_restore(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Bring something archived back, with what was archived with it."""
    place = _archived_or_404(kind, pk)
    done = attempt(
        request,
        lambda: place_restore(actor=actor_of(request), place=place),
        f"{place.name} is back, with what was archived with it.",
    )
    return redirect(place) if done else redirect("archived", kind, pk)


@require_http_methods(["GET", "HEAD", "POST"])
def environment_archive(request: HttpRequest, name: str) -> HttpResponse:
    """Archive an environment with its groups and nodes."""
    return _archiving(request, get_object_or_404(Environment, name=name))


@require_http_methods(["GET", "HEAD", "POST"])
def group_archive(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Archive a group with its nodes."""
    return _archiving(request, group_or_404(environment, name))


@require_http_methods(["GET", "HEAD", "POST"])
def node_archive(request: HttpRequest, pk: int) -> HttpResponse:
    """Archive a node."""
    found = node_numbered(pk)
    if found is None:
        raise Http404
    return _archiving(request, found)


def _archiving(request: HttpRequest, place: Place) -> HttpResponse:
    """Ask, and archive where nothing keeps the place; what does is shown with what helps."""
    if request.method == "POST":
        done = attempt(
            request,
            lambda: place_archive(actor=actor_of(request), place=place, now=timezone.now()),
        )
        if done:
            messages.success(
                request, f"{place.name} is archived.", extra_tags="Its record is kept below."
            )
            return redirect(place)
    return render(request, "archive/archiving.html", {"page": pages.archiving(place)})


def _archived_or_404(kind: str, pk: int) -> Place:
    place = archived_place(kind, pk)
    if place is None:
        raise Http404
    return place
