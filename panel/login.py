"""Who may see a page: whoever has signed in."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase


class LoginRequired(LoginRequiredMiddleware):
    """Django's middleware, that leads a page's polling to sign-in as a whole page."""

    def handle_no_permission(  # type: ignore[override]  # any response will do
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        """Redirect; where htmx asked, tell it to leave the page instead of drawing into it."""
        response = super().handle_no_permission(request, view_func)
        if "HX-Request" not in request.headers:
            return response
        return HttpResponse(headers={"HX-Refresh": "true"})
