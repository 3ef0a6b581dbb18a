"""The first page: what needs me now?"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from addons.models import Run
from addons.selectors import observations, runs_listed
from instances.models import Environment, Node
from instances.selectors import environments_found
from panel.pages.attention import attention
from panel.pages.overview import environment_lines
from panel.pages.runs import run_lines
from panel.pages.state import BAD, OK, row_shown

ENVIRONMENTS = 12
RUNS = 8


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show what needs attention, counts, environments and the latest runs."""
    count = Environment.objects.count()
    if not count:
        return render(request, "dashboard_empty.html", {"today": timezone.localtime()})
    observed = observations()
    kinds = [row_shown(row, row.installation).kind for row in observed]
    environments = environments_found()
    context = {
        "today": timezone.localtime(),
        "attention": attention(observed),
        "environments": environment_lines(environments[:ENVIRONMENTS], observed),
        "environment_count": count,
        "runs": run_lines(runs_listed().exclude(state=Run.State.DISCARDED)[:RUNS]),
        "node_count": Node.objects.count(),
        "verified": kinds.count(OK),
        "not_as_wanted": kinds.count(BAD),
        "installed": len(kinds),
        "changes": _changes_today(),
    }
    return render(request, "dashboard.html", context)


def _changes_today() -> dict[str, int]:
    """Count today's runs that ended by themselves, by how."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    states = list(Run.objects.filter(ended_at__gte=midnight).values_list("state", flat=True))
    return {
        "done": states.count(Run.State.SUCCEEDED),
        "put_back": states.count(Run.State.PUT_BACK),
        "stuck": states.count(Run.State.STUCK),
    }
