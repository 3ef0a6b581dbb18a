"""Who follows whom in a group."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from instances.selectors import nodes_of_group
from instances.topology import looked_at_since
from panel.pages.drawing import drawings
from panel.pages.node import PATIENCE, POLLING, STOP_POLLING
from panel.pages.topology import topology_page
from panel.views.groups import group_or_404
from panel.views.looking import asked_at, looks_asked


@require_safe
def group_topology(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Draw and list the servers of a group, who follows whom, and what is not as it should be."""
    group, now = group_or_404(environment, name), timezone.now()
    asked = asked_at(request)
    pending = asked is not None and now - asked <= PATIENCE and not looked_at_since(group, asked)
    page = topology_page(group, now)
    context = {
        "group": group,
        "node_count": group.nodes.count(),
        "seen": page,
        "drawings": drawings(page),
        "pending": pending,
    }
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        status = POLLING if pending else STOP_POLLING
        return render(request, "groups/_topology_live.html", context, status=status)
    return render(request, "groups/topology.html", context)


@require_POST
def group_look(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Have workers look at every node of a group."""
    group = group_or_404(environment, name)
    asked = looks_asked(request, nodes_of_group(group).values_list("pk", flat=True))
    return redirect(f"{reverse('group-topology', args=[environment, name])}{asked}")
