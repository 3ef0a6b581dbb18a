"""What views share: who acts, and how a refusal reaches the page."""

from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.http import HttpRequest

from instances.audit import Actor
from instances.errors import DomainError


def actor_of(request: HttpRequest) -> Actor:
    """Return who acts. The one place where a request becomes an actor."""
    return Actor(
        user_id=request.user.pk,
        name=request.user.get_username(),
        source=str(request.META.get("REMOTE_ADDR", "")),
    )


def attempt(request: HttpRequest, act: Callable[[], object], done: str = "") -> bool:
    """Act, and tell the person how it went with their next page; return whether it went well.

    Args:
        act: Calls a service.
        done: What to say where it went well.
    """
    try:
        act()
    except DomainError as error:
        messages.error(request, error.reason.message, extra_tags=error.reason.next_step)
        return False
    if done:
        messages.success(request, done)
    return True


def refuse(form: forms.Form, error: DomainError) -> None:
    """Put a service's refusal where the person looks: at the field, or above the form."""
    field = error.field if error.field in form.fields else None
    form.add_error(field, f"{error.reason.message} {error.reason.next_step}".strip())
