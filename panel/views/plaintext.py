"""Who still speaks plaintext to the servers of a group."""

import csv
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from addons.encryption.plaintext_seen import addresses_of, callers_of, not_looked_at
from addons.encryption.remembering import KEPT
from addons.encryption.tables import PlaintextFilter
from instances.models import NodeGroup
from panel.pages.node import PATIENCE, POLLING, STOP_POLLING
from panel.pages.plaintext import csv_lines, plaintext_lines, plaintext_page
from panel.views.groups import group_or_404
from panel.views.lists import listed
from panel.views.looking import asked_at


@require_safe
def group_plaintext(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """List the addresses from which somebody speaks plaintext, and how well that is known."""
    group, now = group_or_404(environment, name), timezone.now()
    context = listed(request, _filter(request, group, now))
    callers = callers_of(group, now - KEPT, context["page"].object_list)
    asked = asked_at(request)
    pending = asked is not None and now - asked <= PATIENCE and not_looked_at(group, asked)
    context |= {
        "group": group,
        "node_count": group.nodes.count(),
        "lines": plaintext_lines(callers),
        "plain": plaintext_page(group, now),
        "pending": pending,
    }
    if request.htmx:  # type: ignore[attr-defined]  # django-htmx's middleware adds it
        status = POLLING if pending else STOP_POLLING
        return render(request, "groups/_plaintext_live.html", context, status=status)
    return render(request, "groups/plaintext.html", context)


@require_safe
def group_plaintext_csv(request: HttpRequest, environment: str, name: str) -> HttpResponse:
    """Download the same list, narrowed alike."""
    group, now = group_or_404(environment, name), timezone.now()
    found = _filter(request, group, now)
    matching = found.qs if found.is_valid() else found.qs.none()
    lines = csv_lines(callers_of(group, now - KEPT, matching))
    called = f"plaintext-{group.environment.name}-{group.name}.csv"
    answer = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{called}"'},
    )
    csv.writer(answer).writerows(lines)
    return answer


def _filter(request: HttpRequest, group: NodeGroup, now: datetime) -> PlaintextFilter:
    return PlaintextFilter(request.GET, queryset=addresses_of(group, now - KEPT))
