"""The audit log."""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from instances.models import AuditEvent
from instances.tables import AuditFilter
from panel.views.lists import listed


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """List events, the newest first."""
    found = AuditFilter(request.GET, queryset=AuditEvent.objects.all())
    context = listed(request, found)
    context["events"] = [(event, _detail(event)) for event in context["page"].object_list]
    return render(request, "audit/list.html", context)


def _detail(event: AuditEvent) -> str:
    """Return an event's detail as text: ``key value`` pairs."""
    return " · ".join(f"{key} {_plain(value)}" for key, value in event.detail.items())


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
