"""SSH keys: which there are, and making one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from instances.errors import DomainError
from instances.forms import CredentialForm
from instances.selectors import credentials_with_use
from instances.services import credential_create
from panel.views.requests import actor_of, refuse


@require_safe
def credentials(request: HttpRequest) -> HttpResponse:
    """List the keys with the lines to paste."""
    return render(request, "credentials/list.html", {"keys": credentials_with_use()})


@require_http_methods(["GET", "HEAD", "POST"])
def credential_add(request: HttpRequest) -> HttpResponse:
    """Make a key or store one."""
    form = CredentialForm(request.POST or None)
    if form.is_valid():
        try:
            made = credential_create(
                actor=actor_of(request),
                name=form.cleaned_data["name"],
                private_key=form.secret(),
            )
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, f"The key {made.name} is ready: paste its line.")
            return redirect("credentials")
    return render(request, "credentials/add.html", {"form": form})
