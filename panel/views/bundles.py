"""The runs of one click on several node groups: preview, confirm, watch, stop, try again."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from addons.models import Run
from addons.runs import bundles
from addons.selectors import runs_of_bundle
from panel.pages.bundle import bundle_page
from panel.pages.node import POLLING, STOP_POLLING
from panel.views.requests import actor_of, attempt

UNCHANGED = 204


def to_runs(runs: Sequence[Run]) -> HttpResponse:
    """Lead to the one page that shows these runs."""
    bundle = runs[0].bundle
    return redirect("bundle", bundle) if bundle else redirect(runs[0])


@require_safe
def bundle(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Show the runs as they stand; to the page's own polling only what has changed."""
    runs = runs_of_bundle(bundle)
    if not runs:
        raise Http404
    page = bundle_page(bundle, runs)
    if not request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        return render(request, "runs/bundle.html", {"page": page})
    if page.polls and request.GET.get("seen") == page.version:
        return HttpResponse(status=UNCHANGED)
    status = POLLING if page.polls else STOP_POLLING
    return render(request, "runs/_bundle_live.html", {"page": page}, status=status)


@require_POST
def bundle_confirm(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Start what the previews showed, and say which groups were left out."""
    left_out: list[Run] = []
    went = attempt(
        request,
        lambda: left_out.extend(bundles.runs_confirm(actor=actor_of(request), bundle=bundle)),
    )
    if went and left_out:
        names = ", ".join(str(run.installation.group) for run in left_out)
        messages.warning(request, f"Left out, nothing is changed there: {names}.")
    return redirect("bundle", bundle)


@require_POST
def bundle_discard(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Drop what has not begun."""
    attempt(
        request,
        lambda: bundles.runs_discard(actor=actor_of(request), bundle=bundle),
        "The previews are discarded. Nothing was changed.",
    )
    return redirect("bundle", bundle)


@require_POST
def bundle_stop(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Stop what is under way and put it back."""
    attempt(request, lambda: bundles.runs_stop(actor=actor_of(request), bundle=bundle))
    return redirect("bundle", bundle)


@require_POST
def bundle_repeat(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Have new previews made for the groups that failed, and lead there."""
    made: list[Run] = []
    went = attempt(
        request,
        lambda: made.extend(bundles.runs_repeat(actor=actor_of(request), bundle=bundle)),
    )
    return to_runs(made) if went else redirect("bundle", bundle)
