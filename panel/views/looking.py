"""Having a worker look at a node: the web process itself never speaks to one."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from instances import tasks
from instances.models import Node

logger = logging.getLogger(__name__)


def look_asked(request: HttpRequest, node: Node, numbers: Iterable[int] = ()) -> HttpResponse:
    """Have nodes looked at, and lead to the page of one, which waits for that.

    Args:
        request: Of the person who asks.
        node: Whose page is shown.
        numbers: The nodes to look at, by primary key; only this one where empty.
    """
    asked = looks_asked(request, list(numbers) or [node.pk])
    return redirect(f"{reverse('node', args=[node.pk])}{asked}")


def looks_asked(request: HttpRequest, numbers: Iterable[int]) -> str:
    """Have nodes looked at; return what tells their page since when it waits.

    Call it once what the worker is to read is committed. Nothing asks again for a look that was
    lost, so where the broker is out of reach the person is told.

    Args:
        request: Of the person who asks.
        numbers: The nodes to look at, by primary key.
    """
    asked = timezone.now().timestamp()
    try:
        for number in numbers:
            tasks.node_look.delay(number)
    except OperationalError as error:
        logger.warning("a look could not be asked for: %s", error)
        messages.error(
            request,
            "No worker could be asked to look: the broker does not answer.",
            extra_tags="See that the worker and the broker run, then choose Test connection.",
        )
        return ""
    return f"?asked={asked:.3f}"


def asked_at(request: HttpRequest) -> datetime | None:
    """Return when this viewer asked for a look, from the address of the page."""
    try:
        return datetime.fromtimestamp(float(request.GET.get("asked", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return None
