"""Reads of what is archived."""

from typing import Any

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat

from instances.models import Environment, Node, NodeGroup
from instances.services.archive import VERBS, Place


def archived_places(text: str = "") -> QuerySet[Any]:
    """Return what is archived, the latest first, as {kind, pk, name, within, archived_at}.

    What was archived with the whole it belongs to comes back with that, and is not among them.

    Args:
        text: Only what has it in its own name or in the name of what it belongs to.
    """
    place = Concat("group__environment__name", Value(" / "), "group__name")
    rows = [
        _rows(Environment, Value(""), Q()),
        _rows(NodeGroup, F("environment__name"), Q(environment__archived_at=None)),
        _rows(Node, place, Q(group__archived_at=None)),
    ]
    if text:
        rows = [each.filter(Q(name__icontains=text) | Q(within__icontains=text)) for each in rows]
    return rows[0].union(*rows[1:], all=True).order_by("-archived_at", "kind", "pk")


def _rows(model: type[Place], within: Any, alone: Q) -> QuerySet[Any]:
    archived = model.recorded.filter(alone, archived_at__isnull=False).order_by()
    return archived.annotate(kind=Value(VERBS[model]), within=within).values(
        "kind", "pk", "name", "within", "archived_at"
    )


def archived_place(kind: str, pk: int) -> Place | None:
    """Return what is archived under a number, with what it belongs to; None where nothing is."""
    match kind:
        case "environment":
            return Environment.recorded.filter(pk=pk, archived_at__isnull=False).first()
        case "group":
            groups = NodeGroup.recorded.filter(pk=pk, archived_at__isnull=False)
            return groups.select_related("environment").first()
        case "node":
            nodes = Node.recorded.filter(pk=pk, archived_at__isnull=False)
            return (
                nodes.select_related("machine", "group__environment")
                .defer("server_password")
                .first()
            )
    return None
