"""The nodes of all environments."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from addons.tables import FleetFilter
from instances.models import Environment
from instances.selectors import nodes_listed
from panel.pages.nodes import node_lines
from panel.views.lists import listed


@require_safe
def nodes(request: HttpRequest) -> HttpResponse:
    """List nodes, narrowed by where they are, what they run and how they are."""
    context = listed(request, FleetFilter(request.GET, queryset=nodes_listed()))
    context["nodes"] = node_lines(context["page"].object_list)
    context["environments"] = Environment.objects.exists()
    return render(request, "fleet/nodes.html", context)
