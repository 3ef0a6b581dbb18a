"""What clients are to trust, for download."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from addons.authorities import issuing_authority, trusted_authorities
from addons.pki.bundle import trust_bundle
from addons.pki.errors import CertificateError
from instances.errors import NotFound
from instances.models import Environment
from instances.reason import Reason
from panel.pages.connect import AUTHORITY_FILE


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


def _none(request: HttpRequest, environment: Environment, reason: Reason) -> HttpResponse:
    context = {"environment": environment, "reason": reason}
    return render(request, "environments/no_authority.html", context, status=404)
