"""Whether the panel can work, for load balancers and scripts."""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 -- a view's signature
    """Answer ``ok`` when the database answers and has every migration, else 503 and why."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return _unwell("the database does not answer")
    if missing:
        return _unwell("migrations are missing: run `manage.py migrate`")
    return HttpResponse("ok", content_type="text/plain")


def _unwell(why: str) -> HttpResponse:
    return HttpResponse(why, status=503, content_type="text/plain")
