"""The authority of an environment: what clients are to trust, and sharing it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from addons.authorities import authority_share, issuing_authority, trusted_authorities
from addons.forms import EnvironmentChoice
from addons.pki.bundle import trust_bundle
from addons.pki.errors import CertificateError
from instances.errors import DomainError, NotFound
from instances.models import Environment
from instances.reason import Reason
from panel.pages.connect import AUTHORITY_FILE
from panel.views.requests import actor_of, refuse


@require_safe
def environment_authority(request: HttpRequest, environment: str) -> HttpResponse:
    """Send the authorities that an environment trusts, or say why there are none."""
    found = get_object_or_404(Environment, name=environment)
    try:
        issuing_authority(found)
        bundle = trust_bundle(trusted_authorities(found), now=timezone.now())
    except NotFound as error:
        return _none(request, found, error.reason)
    except CertificateError as error:
        return _none(request, found, Reason("NoAuthority", str(error)))
    return HttpResponse(
        bundle,
        content_type="application/x-pem-file",
        headers={"Content-Disposition": f'attachment; filename="{AUTHORITY_FILE}"'},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def environment_authority_share(request: HttpRequest, environment: str) -> HttpResponse:
    """Ask whose authority an environment is to issue from, before its first install."""
    within = get_object_or_404(Environment, name=environment)
    form = EnvironmentChoice(request.POST or None)
    if form.is_valid():
        owner = form.cleaned_data["environment"]
        try:
            authority_share(actor=actor_of(request), environment=within, owner=owner)
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, f"{within} issues from the authority of {owner} now.")
            return redirect("environment-certificates", within.name)
    context = {"environment": within, "form": form, "bound": form["environment"]}
    return render(request, "environments/share_authority.html", context)


def _none(request: HttpRequest, environment: Environment, reason: Reason) -> HttpResponse:
    context = {"environment": environment, "reason": reason}
    return render(request, "environments/no_authority.html", context, status=404)
