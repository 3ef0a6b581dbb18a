"""An environment's maintenance windows."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from instances.errors import DomainError
from instances.models import Environment, MaintenanceWindow
from instances.services import window_add, window_remove
from instances.window_form import WindowForm
from panel.pages.windows import window_lines
from panel.views.requests import actor_of, refuse


@require_http_methods(["GET", "HEAD", "POST"])
def environment_windows(request: HttpRequest, environment: str) -> HttpResponse:
    """Show the windows of an environment, and add one."""
    within = get_object_or_404(Environment, name=environment)
    form = WindowForm(request.POST or None)
    if form.is_valid():
        try:
            window_add(actor=actor_of(request), environment=within, **form.cleaned_data)
            messages.success(request, "The window is set.")
            return redirect("environment-windows", within.name)
        except DomainError as error:
            refuse(form, error)
    lines = window_lines(within.windows.all(), timezone.now())
    context = {"environment": within, "lines": lines, "form": form}
    return render(request, "environments/windows.html", context)


@require_POST
def environment_window_remove(request: HttpRequest, environment: str, pk: int) -> HttpResponse:
    """Take a window away."""
    found = get_object_or_404(MaintenanceWindow, pk=pk, environment__name=environment)
    window_remove(actor=actor_of(request), window=found)
    messages.success(request, "The window is taken away.")
    return redirect("environment-windows", environment)
