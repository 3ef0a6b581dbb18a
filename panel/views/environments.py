"""Environments and node groups: lists, pages, and the forms that make them."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from addons.selectors import observations
from instances.errors import DomainError
from instances.forms import EnvironmentForm, GroupForm
from instances.models import Environment, Node
from instances.selectors import environments_found
from instances.services import (
    environment_create,
    environment_update,
    group_create,
    group_rename,
)
from panel.pages.overview import environment_lines
from panel.pages.state import node_shown
from panel.views.groups import group_or_404
from panel.views.requests import actor_of, refuse

PAGE = 25


@require_safe
def environments(request: HttpRequest) -> HttpResponse:
    """List environments, a page at a time."""
    text = request.GET.get("q", "").strip()
    page = Paginator(environments_found(text), PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    lines = environment_lines(shown, observations(each.pk for each in shown))
    return render(request, "environments/list.html", {"page": page, "lines": lines, "text": text})


@require_safe
def environment(request: HttpRequest, name: str) -> HttpResponse:
    """Show an environment: its groups, and the nodes of each."""
    found = get_object_or_404(environments_found(), name=name)
    line = environment_lines([found], observations([found.pk]))[0]
    nodes = (
        Node.objects.filter(group__environment=found)
        .select_related("machine")
        .defer("server_password")
        .order_by("name")
    )
    by_group: dict[int, list[object]] = {}
    for node in nodes:
        by_group.setdefault(node.group_id, []).append((node, node_shown(node)))
    groups = [(each, by_group.get(each.group.pk, [])) for each in line.groups]
    return render(request, "environments/detail.html", {"line": line, "groups": groups})


@require_http_methods(["GET", "HEAD", "POST"])
def environment_add(request: HttpRequest) -> HttpResponse:
    """Make an environment."""
    form = EnvironmentForm(request.POST or None)
    if form.is_valid():
        try:
            made = environment_create(actor=actor_of(request), **form.cleaned_data)
            return redirect("group-add", made.name)
        except DomainError as error:
            refuse(form, error)
    return render(request, "environments/add.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
def environment_edit(request: HttpRequest, name: str) -> HttpResponse:
    """Rename an environment or change its region."""
    found = get_object_or_404(Environment, name=name)
    initial = {"name": found.name, "region": found.region}
    form = EnvironmentForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            environment_update(actor=actor_of(request), environment=found, **form.cleaned_data)
            return redirect(found)
        except DomainError as error:
            refuse(form, error)
            found.name = name
    return render(request, "environments/edit.html", {"form": form, "environment": found})


@require_http_methods(["GET", "HEAD", "POST"])
def group_edit(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Rename a node group."""
    found = group_or_404(environment, name)
    form = GroupForm(request.POST or None, initial={"name": found.name})
    if form.is_valid():
        try:
            group_rename(actor=actor_of(request), group=found, name=form.cleaned_data["name"])
            return redirect(found)
        except DomainError as error:
            refuse(form, error)
            found.name = name
    return render(request, "groups/edit.html", {"form": form, "group": found})


@require_http_methods(["GET", "HEAD", "POST"])
def group_add(request: HttpRequest, environment: str) -> HttpResponse:
    """Make a node group in an environment."""
    within = get_object_or_404(Environment, name=environment)
    form = GroupForm(request.POST or None)
    if form.is_valid():
        try:
            made = group_create(actor=actor_of(request), environment=within, **form.cleaned_data)
            return redirect("node-add", within.name, made.name)
        except DomainError as error:
            refuse(form, error)
    return render(request, "groups/add.html", {"form": form, "environment": within})
