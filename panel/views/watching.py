"""Having nodes verified now, and taking what was found on one for the wanted."""

import logging
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from kombu.exceptions import OperationalError

from addons.watch import services
from instances.models import Node
from panel.views.groups import group_or_404
from panel.views.requests import actor_of, attempt

logger = logging.getLogger(__name__)


@require_POST
def group_verify(request: HttpRequest, environment: str, name: str, addon: str) -> HttpResponse:
    """Have every node of a group looked at; the page that asks, or the add-ons', waits for that."""
    group = group_or_404(environment, name)
    asked = _asked(
        request,
        lambda: services.group_verify(actor=actor_of(request), group=group, addon=addon),
    )
    page = "group-plaintext" if request.POST.get("from") == "plaintext" else "group-addons"
    return redirect(f"{reverse(page, args=[environment, name])}{asked}")


@require_POST
def node_verify(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a node looked at with all that is on it; its page waits for that."""
    node = get_object_or_404(Node, pk=pk)
    asked = _asked(request, lambda: services.node_verify(actor=actor_of(request), node=node))
    return redirect(f"{reverse('node', args=[pk])}{asked}")


@require_POST
def drift_accept(
    request: HttpRequest, environment: str, name: str, addon: str, node: int
) -> HttpResponse:
    """Have the preview made in which what was found on a node is the wanted."""
    group, made = group_or_404(environment, name), []
    went = attempt(
        request,
        lambda: made.append(
            services.drift_accept(actor=actor_of(request), group=group, addon=addon, node=node)
        ),
    )
    return redirect(made[0]) if went else redirect("group-addons", environment, name)


def _asked(request: HttpRequest, ask: Callable[[], object]) -> str:
    """Ask, and return what tells the page since when it waits; the person hears of a refusal."""
    asked = timezone.now().timestamp()
    try:
        went = attempt(request, ask)
    except OperationalError as error:
        logger.warning("a verification could not be asked for: %s", error)
        messages.error(
            request,
            "No worker could be asked to look: the broker does not answer.",
            extra_tags="See that the worker and the broker run, then choose Verify now.",
        )
        return ""
    return f"?asked={asked:.3f}" if went else ""
