"""Runs: ask for one, look at its preview, watch it, stop it, put it right."""

from collections.abc import Callable

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from addons.actions import INSTALL
from addons.catalogue import AddOn, addon_named
from addons.forms import initial_from, settings_from
from addons.models import Installation, Run
from addons.runs import services
from addons.selectors import run_numbered, runs_listed
from addons.tables import RunFilter
from instances.audit import Actor
from instances.errors import DomainError, NotFound
from panel.pages.node import POLLING, STOP_POLLING
from panel.pages.run import run_page
from panel.pages.runs import run_lines
from panel.views.groups import group_or_404
from panel.views.requests import actor_of, attempt, refuse

PAGE = 25
UNCHANGED = 204


def _addon_or_404(slug: str) -> AddOn:
    try:
        return addon_named(slug)
    except NotFound as error:
        raise Http404(str(error)) from error


def _run_or_404(pk: int) -> Run:
    found = run_numbered(pk)
    if found is None:
        raise Http404
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def install(request: HttpRequest, environment: str, name: str, addon: str) -> HttpResponse:
    """Ask for an add-on's settings, then have the preview made."""
    group, kind = group_or_404(environment, name), _addon_or_404(addon)
    there = Installation.objects.filter(group=group, addon=addon, generation__gt=0).first()
    initial = initial_from(there.spec) if there else None
    form = kind.form(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            run = services.run_create(
                actor=actor_of(request),
                group=group,
                addon=addon,
                action=INSTALL,
                settings=settings_from(form),
                confirmed=False,
            )
            return redirect(run)
        except DomainError as error:
            refuse(form, error)
    count = group.nodes.count()
    context = {"group": group, "addon": kind, "form": form, "installed": there, "node_count": count}
    return render(request, "addons/install.html", context)


@require_POST
def act(request: HttpRequest, environment: str, name: str, addon: str, action: str) -> HttpResponse:
    """Have the preview made of an action that asks for nothing, such as an uninstall."""
    group, made = group_or_404(environment, name), []
    _addon_or_404(addon)
    went = attempt(
        request,
        lambda: made.append(
            services.run_create(
                actor=actor_of(request),
                group=group,
                addon=addon,
                action=action,
                settings={},
                confirmed=False,
            )
        ),
    )
    return redirect(made[0]) if went else redirect("group-addons", environment, name)


@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run as it stands; to its own polling only what has changed."""
    page = run_page(_run_or_404(pk))
    context = {"page": page, "run": page.run, "group": page.run.installation.group}
    if not request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        return render(request, "runs/detail.html", context)
    if page.polls and request.GET.get("seen") == page.version:
        return HttpResponse(status=UNCHANGED)
    status = POLLING if page.polls else STOP_POLLING
    return render(request, "runs/_live.html", context, status=status)


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
    """List runs, the newest first."""
    found = RunFilter(request.GET, queryset=runs_listed())
    # What cannot be understood matches nothing, rather than everything.
    matching = found.qs if found.is_valid() else found.qs.none()
    page = Paginator(matching, PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "lines": run_lines(page.object_list), "filter": found}
    return render(request, "runs/list.html", context)
