"""A node group: its nodes, its add-ons, the ways into it, its runs."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from addons.selectors import installations_on, node_installations, runs_listed
from addons.tables import GroupNodeFilter
from instances.models import NodeGroup
from instances.selectors import (
    nodes_listed,
    nodes_of_group,
    nodes_with_unconfirmed_host_key,
)
from panel.pages.cards import awaited, cards_of
from panel.pages.connect import connect_page
from panel.pages.node import POLLING, STOP_POLLING
from panel.pages.nodes import node_lines
from panel.pages.runs import run_lines
from panel.views.lists import listed
from panel.views.looking import asked_at

NODES = 50
RUNS = 25


def group_or_404(environment: str, name: str) -> NodeGroup:
    """Return the group with its environment."""
    return get_object_or_404(
        NodeGroup.objects.select_related("environment"), environment__name=environment, name=name
    )


@require_safe
def group(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Show the nodes of a group."""
    found = group_or_404(environment, name)
    nodes = nodes_listed().filter(group=found)
    context = listed(request, GroupNodeFilter(request.GET, queryset=nodes))
    context |= {
        "group": found,
        "nodes": node_lines(context["page"].object_list),
        "node_count": found.nodes.count(),
        "keys_to_compare": nodes_with_unconfirmed_host_key().filter(group=found).count(),
        "many": context["narrowed"] or context["page"].paginator.num_pages > 1,
    }
    return render(request, "groups/nodes.html", context)


@require_safe
def group_addons(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Show what is installed on a group, what was observed of it, and what could be."""
    found = group_or_404(environment, name)
    page = Paginator(nodes_of_group(found), NODES).get_page(request.GET.get("page"))
    size, now = page.paginator.count, timezone.now()
    cards = cards_of(found, list(page.object_list), size, now)
    pending = awaited(cards, asked_at(request), now)
    context = {
        "group": found,
        "cards": cards,
        "page": page,
        "node_count": size,
        "pending": pending,
    }
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        status = POLLING if pending else STOP_POLLING
        return render(request, "groups/_addons_live.html", context, status=status)
    return render(request, "groups/addons.html", context)


@require_safe
def group_connect(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Show how clients reach the servers of a group."""
    found = group_or_404(environment, name)
    page = Paginator(nodes_of_group(found), NODES).get_page(request.GET.get("page"))
    installation = installations_on(found).get("encryption")
    nodes = list(page.object_list)
    rows = node_installations([installation], nodes) if installation else []
    context = {
        "group": found,
        "page": page,
        "connect": connect_page(nodes, installation, rows),
        "node_count": page.paginator.count,
    }
    return render(request, "groups/connect.html", context)


@require_safe
def group_runs(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Show the runs of a group."""
    found = group_or_404(environment, name)
    runs = runs_listed().filter(installation__group=found)
    page = Paginator(runs, RUNS).get_page(request.GET.get("page"))
    context = {
        "group": found,
        "page": page,
        "lines": run_lines(page.object_list),
        "node_count": found.nodes.count(),
    }
    return render(request, "groups/runs.html", context)
