"""Removing what has no record: asked for by typing its name, refused with the reason."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from addons.archiving import keepers_of, node_give_up
from instances import services
from instances.errors import DomainError
from instances.forms import RemoveForm
from instances.models import Environment
from instances.selectors import node_numbered
from instances.services.archive import Place
from panel.pages.archive import WORDS
from panel.views.groups import group_or_404
from panel.views.requests import actor_of, attempt


@require_http_methods(["GET", "HEAD", "POST"])
def environment_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Remove an environment without groups."""
    found = get_object_or_404(Environment, name=name)
    return _removal(
        request,
        found,
        lambda: services.environment_remove(actor=actor_of(request), environment=found),
        lambda: redirect("environments"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def group_remove(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Remove a group without nodes."""
    found = group_or_404(environment, name)
    return _removal(
        request,
        found,
        lambda: services.group_remove(actor=actor_of(request), group=found),
        lambda: redirect(found.environment),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def node_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a node on which nothing was changed."""
    found = node_numbered(pk)
    if found is None:
        raise Http404
    return _removal(
        request,
        found,
        lambda: services.node_remove(actor=actor_of(request), node=found),
        lambda: redirect(found.group),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def node_gone(request: HttpRequest, pk: int) -> HttpResponse:
    """Archive a node whose machine is gone, so that nothing can be uninstalled there."""
    found = node_numbered(pk)
    if found is None:
        raise Http404
    form = RemoveForm(request.POST or None, name=found.name)
    if form.is_valid() and attempt(
        request, lambda: node_give_up(actor=actor_of(request), node=found, now=timezone.now())
    ):
        messages.success(request, f"{found.name} is archived.", extra_tags="Nothing was undone.")
        return redirect(found)
    return render(request, "nodes/gone.html", {"node": found, "form": form})


def _removal(
    request: HttpRequest,
    place: Place,
    remove: Callable[[], None],
    leave: Callable[[], HttpResponse],
) -> HttpResponse:
    """Ask, and remove once the name is typed and nothing forbids it."""
    keepers = keepers_of(place)
    refusal = keepers[0].reason if keepers else None
    form = RemoveForm(request.POST or None, name=place.name)
    if form.is_valid() and refusal is None:
        name = place.name
        try:
            remove()
        except DomainError as error:
            refusal = error.reason
        else:
            messages.success(request, f"{name} is removed.")
            return leave()
    context = {"place": place, "kind": WORDS[type(place)], "form": form, "refusal": refusal}
    return render(request, "removal.html", context)
