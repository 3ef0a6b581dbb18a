"""Environments and node groups: lists, pages, and the forms that make them."""

from collections import defaultdict

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from instances.errors import DomainError
from instances.forms import EnvironmentForm, GroupForm
from instances.models import Environment
from instances.selectors import environments_with_groups, first_nodes, groups_sized
from instances.services import (
    environment_create,
    environment_update,
    group_create,
    group_rename,
)
from instances.tables import EnvironmentFilter, GroupFilter
from panel.pages.nodes import NodeLine, node_lines
from panel.pages.overview import environment_lines, group_lines
from panel.views.groups import group_or_404
from panel.views.lists import listed
from panel.views.requests import actor_of, refuse

PAGE = 25
GROUPS = 10
FIRST = 5
"""How many nodes of a group its environment's page shows."""


@require_safe
def environments(request: HttpRequest) -> HttpResponse:
    """List environments, a page at a time."""
    found = EnvironmentFilter(request.GET, queryset=Environment.objects.all())
    context = listed(request, found, PAGE)
    shown = environments_with_groups(context["page"].object_list)
    context["lines"] = environment_lines(shown, timezone.now())
    return render(request, "environments/list.html", context)


@require_safe
def environment(request: HttpRequest, name: str) -> HttpResponse:
    """Show an environment: its groups, and the first nodes of each."""
    found = get_object_or_404(Environment, name=name)
    groups = groups_sized().filter(environment=found)
    context = listed(request, GroupFilter(request.GET, queryset=groups), GROUPS)
    lines = group_lines(context["page"].object_list, timezone.now())
    nodes: defaultdict[int, list[NodeLine]] = defaultdict(list)
    for line in node_lines(first_nodes((each.group for each in lines), FIRST)):
        nodes[line.node.group_id].append(line)
    context |= {
        "environment": found,
        "groups": [(line, nodes[line.group.pk]) for line in lines],
        # One that fits on the page needs no filters.
        "many": context["narrowed"] or context["page"].paginator.num_pages > 1,
    }
    return render(request, "environments/detail.html", context)


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
