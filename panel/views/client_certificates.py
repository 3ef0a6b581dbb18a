"""Clients' certificates: issue one and hand it out once, list them, read how one is used."""

from collections.abc import Iterator
from uuid import uuid4

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from addons.authorities import issuing_authority, sharing_with
from addons.clients.forms import KEPT, ClientCertificateForm
from addons.clients.handout import Handout
from addons.clients.issue import (
    AlreadyIssued,
    client_certificate_downloaded,
    client_certificate_issue,
)
from addons.clients.selectors import client_certificates, client_certificates_of
from addons.clients.tables import AllClientsFilter, ClientFilter
from addons.models import Authority
from instances.errors import DomainError, NotFound
from instances.models import Environment
from panel.pages.clients import client_lines, client_page, issued_again
from panel.pages.expiry import month_choices, timeline
from panel.recent import require_recent_sign_in
from panel.views.lists import listed
from panel.views.requests import actor_of, refuse


@require_safe
def clients(request: HttpRequest) -> HttpResponse:
    """List the clients' certificates of all environments, below the timeline."""
    now = timezone.now()
    found = AllClientsFilter(request.GET, queryset=client_certificates(), months=month_choices(now))
    context = listed(request, found)
    context |= {
        "lines": client_lines(context["page"].object_list, now),
        "expiry": timeline(now),
    }
    return render(request, "certificates/clients.html", context)


@require_safe
def environment_clients(request: HttpRequest, environment: str) -> HttpResponse:
    """List the clients' certificates that open the servers of an environment."""
    now = timezone.now()
    within = get_object_or_404(Environment, name=environment)
    queryset = client_certificates_of(within)
    found = ClientFilter(request.GET, queryset=queryset, months=month_choices(now))
    context = listed(request, found)
    context |= {
        "environment": within,
        "authority": _authority(within),
        "shared": sharing_with(within),
        "lines": client_lines(context["page"].object_list, now, within),
    }
    return render(request, "environments/certificates.html", context)


@require_safe
def environment_client(request: HttpRequest, environment: str, pk: int) -> HttpResponse:
    """Show a client's certificate, and how to use it or to issue it again."""
    within = get_object_or_404(Environment, name=environment)
    found = get_object_or_404(client_certificates_of(within), pk=pk)
    context = {"environment": within, "client": client_page(found, within, timezone.now())}
    return render(request, "environments/certificate.html", context)


@never_cache
@sensitive_post_parameters("passphrase", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def environment_client_issue(request: HttpRequest, environment: str) -> HttpResponseBase:
    """Issue a certificate; it leaves in the answer, and in no other."""
    within = get_object_or_404(Environment, name=environment)
    authority = _authority(within)
    if authority is None:
        return redirect("environment-certificates", within.name)
    if first := require_recent_sign_in(request, KEPT):
        return first
    initial = _initial(request, within)
    form = ClientCertificateForm(
        request.POST or None, request.FILES or None, initial={"once": uuid4()} | initial
    )
    if form.is_valid():
        try:
            return _hand_out(request, within, form)
        except AlreadyIssued as error:
            messages.warning(request, error.reason.message, extra_tags=error.reason.next_step)
            return redirect("environment-certificate", within.name, error.certificate.pk)
        except DomainError as error:
            refuse(form, error)
            form.remind_of_passphrase()
    context = {"environment": within, "form": form, "authority": authority}
    return render(request, "environments/certificate_issue.html", context)


def _initial(request: HttpRequest, environment: Environment) -> dict[str, str]:
    """Return what the form begins with: of a certificate that is issued again, or typed."""
    of = request.GET.get("of", "")
    if of.isdecimal():
        former = get_object_or_404(client_certificates_of(environment), pk=of)
        return issued_again(former)
    return {name: request.GET[name] for name in KEPT if name in request.GET}


def _authority(environment: Environment) -> Authority | None:
    try:
        return issuing_authority(environment)
    except NotFound:
        return None


def _hand_out(
    request: HttpRequest, environment: Environment, form: ClientCertificateForm
) -> StreamingHttpResponse:
    """Return the file; a cookie tells the page that asked for it that it has come."""
    wanted = form.request()
    handout = client_certificate_issue(
        actor=actor_of(request), environment=environment, request=wanted, now=timezone.now()
    )
    response = StreamingHttpResponse(
        _leaving(request, handout),
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{handout.name}"',
            "Content-Length": str(len(handout.content)),
            "X-Content-Type-Options": "nosniff",
        },
    )
    response.set_cookie(
        f"issued-{wanted.once}",
        str(handout.certificate.pk),
        max_age=60,
        path=reverse("environment-certificates", args=[environment.name]),
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Strict",
    )
    return response


def _leaving(request: HttpRequest, handout: Handout) -> Iterator[bytes]:
    yield handout.content
    # Asked for more: what there is has left. Where the connection is gone nobody asks.
    client_certificate_downloaded(
        actor=actor_of(request), certificate=handout.certificate, now=timezone.now()
    )
