"""Runs: look at a preview, confirm it, watch it, stop it, put it right, try again."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from addons.models import Run
from addons.runs import services
from addons.selectors import run_numbered, runs_listed
from addons.tables import RunFilter
from instances.audit import Actor
from panel.pages.node import POLLING, STOP_POLLING
from panel.pages.report import report
from panel.pages.run import run_pages
from panel.pages.runs import run_lines
from panel.views.lists import listed
from panel.views.requests import actor_of, attempt

PAGE = 25
UNCHANGED = 204


def _run_or_404(pk: int) -> Run:
    found = run_numbered(pk)
    if found is None:
        raise Http404
    return found


@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run as it stands; to its own polling only what has changed."""
    [page] = run_pages([_run_or_404(pk)])
    context = {"page": page, "run": page.run, "group": page.run.installation.group}
    if not request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        return render(request, "runs/detail.html", context)
    if page.polls and request.GET.get("seen") == page.version:
        return HttpResponse(status=UNCHANGED)
    status = POLLING if page.polls else STOP_POLLING
    return render(request, "runs/_live.html", context, status=status)


@require_safe
def run_report(_request: HttpRequest, pk: int) -> HttpResponse:
    """Send a run as a file to keep or to hand on."""
    found = _run_or_404(pk)
    [page] = run_pages([found])
    response = HttpResponse(report(page), content_type="text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="redoubt-run-{pk}.md"'
    return response


def _on_run(
    request: HttpRequest, pk: int, act: Callable[[Actor, Run], None], done: str = ""
) -> HttpResponse:
    found = _run_or_404(pk)
    attempt(request, lambda: act(actor_of(request), found), done)
    return redirect(found)


@require_POST
def run_confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Start what the preview showed."""
    return _on_run(request, pk, lambda actor, run: services.run_confirm(actor=actor, run=run))


@require_POST
def run_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Drop a preview and lead back to where it was asked for."""
    found = _run_or_404(pk)
    dropped = attempt(
        request,
        lambda: services.run_discard(actor=actor_of(request), run=found),
        "The preview is discarded. Nothing was changed.",
    )
    group = found.installation.group
    back = redirect("group-addons", group.environment.name, group.name)
    return back if dropped else redirect(found)


@require_POST
def run_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a run before its next step and put back what it changed."""
    return _on_run(request, pk, lambda actor, run: services.run_stop(actor=actor, run=run))


@require_POST
def run_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Try again to put back what a stuck run left."""
    return _on_run(
        request, pk, lambda actor, run: services.run_retry_put_back(actor=actor, run=run)
    )


@require_POST
def run_repeat(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a new preview made of what a run did not reach, and lead there."""
    found, made = _run_or_404(pk), []
    went = attempt(
        request,
        lambda: made.append(services.run_repeat(actor=actor_of(request), run=found)),
    )
    return redirect(made[0] if went else found)


@require_POST
def run_resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Record that a stuck run was put right by hand."""
    note = request.POST.get("note", "").strip()[:2000]
    return _on_run(
        request,
        pk,
        lambda actor, run: services.run_resolve(actor=actor, run=run, note=note),
        "The run is marked as resolved; its machines are free again.",
    )


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """List runs, narrowed and sorted as the address says; the newest first where it does not."""
    context = listed(request, RunFilter(request.GET, queryset=runs_listed()), PAGE)
    context["lines"] = run_lines(context["page"].object_list)
    return render(request, "runs/list.html", context)
