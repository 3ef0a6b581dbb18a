"""The audit log."""

import json

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from instances.models import AuditEvent
from instances.tables import AuditFilter

PAGE = 50


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """List events, the newest first."""
    found = AuditFilter(request.GET, queryset=AuditEvent.objects.all())
    page = Paginator(found.qs, PAGE).get_page(request.GET.get("page"))
    events = [(event, _detail(event)) for event in page.object_list]
    verbs = AuditEvent.objects.order_by("verb").values_list("verb", flat=True).distinct()
    actors = AuditEvent.objects.order_by("actor_name").values_list("actor_name", flat=True)
    context = {
        "page": page,
        "events": events,
        "filter": found,
        "verbs": list(verbs),
        "actors": list(actors.distinct()),
    }
    return render(request, "audit/list.html", context)


def _detail(event: AuditEvent) -> str:
    """Return an event's detail as text: ``key value`` pairs."""
    return " · ".join(f"{key} {_plain(value)}" for key, value in event.detail.items())


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
