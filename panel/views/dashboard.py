"""The first page: what needs me now?"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from addons.models import Run
from addons.selectors import runs_listed
from instances.models import Environment
from instances.selectors import environments_with_groups
from panel.pages.attention import attention
from panel.pages.expiry import timeline
from panel.pages.overview import environment_lines, sizes
from panel.pages.runs import run_lines

ENVIRONMENTS = 12
RUNS = 8


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show what needs attention, counts, environments and the latest runs."""
    now = timezone.localtime()
    there = sizes(since=now.replace(hour=0, minute=0, second=0, microsecond=0), now=now)
    if not there.environments:
        return render(request, "dashboard_empty.html", {"today": now})
    shown = environments_with_groups(Environment.objects.order_by("name")[:ENVIRONMENTS])
    context = {
        "today": now,
        "there": there,
        "counts": there.encrypted,
        "attention": attention(now),
        "expiry": timeline(now),
        "environments": environment_lines(shown, now),
        "runs": run_lines(runs_listed().exclude(state=Run.State.DISCARDED)[:RUNS]),
    }
    return render(request, "dashboard.html", context)
