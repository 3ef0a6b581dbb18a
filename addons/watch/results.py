"""Storing a look: what was seen, since when it is so, and nothing that a run knows better."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from addons.catalogue import addon_named
from addons.engine.conditions import AS_WANTED, Condition, merge
from addons.health import ending, health_of
from addons.models import MachineLock, NodeInstallation
from addons.watch.look import Look
from instances.audit import PANEL, audit
from instances.looks import node_looked_at

_FIELDS = (
    "conditions",
    "health",
    "observed",
    "observed_at",
    "observed_generation",
    "not_after",
    "drift",
)


def look_store(*, row: NodeInstallation, look: Look, began: datetime, now: datetime) -> bool:
    """Store what a look found, and return whether it counts.

    It does not where a run has had the node since the look began: what it left is not what was
    looked at.

    Args:
        row: As read before the look, with node and installation.
        look: What was found.
        began: When.
        now: The present time.
    """
    with transaction.atomic():
        rows = NodeInstallation.objects.filter(
            Q(observed_at=None) | Q(observed_at__lte=began),
            pk=row.pk,
            installation__generation=row.installation.generation,
        ).exclude(node__machine__in=MachineLock.objects.values("machine"))
        fresh = rows.select_for_update(of=("self",)).defer("baseline").first()
        if fresh is None:
            return False
        node_looked_at(node=row.node, facts=look.facts, runtime=look.runtime, problem=look.fault)
        before = fresh.conditions
        fresh.conditions = _merged(before, look, row.installation.generation, now)
        fresh.health = health_of(fresh.conditions)
        if look.observed is not None:
            fresh.observed = dict(look.observed)
            fresh.observed_at, fresh.observed_generation = now, row.installation.generation
            fresh.not_after = ending(fresh.observed)
        if look.drift is not None:
            fresh.drift = list(look.drift)
        fresh.save(update_fields=_FIELDS)
        if look.sample is not None:
            addon = addon_named(row.installation.addon)
            addon.remember(node=row.node, sample=look.sample, now=now)
        _note(row, before, fresh.conditions)
    return True


def _merged(
    old: Sequence[Mapping[str, Any]], look: Look, generation: int, now: datetime
) -> list[dict[str, Any]]:
    conditions = [dict(each) for each in old]
    for verdict in look.verdicts:
        condition = Condition(
            verdict.type,
            verdict.status,
            verdict.reason,
            verdict.message,
            generation,
            now.isoformat(),
        )
        conditions = merge(conditions, condition)
    return conditions


def _note(
    row: NodeInstallation, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> None:
    """Note in the audit log that a node has drifted, and that it has not any more."""
    drifted, was = _drifted(after), _drifted(before)
    if drifted and not was:
        audit(PANEL, "node.drift", row.node, says=drifted)
    elif was and not drifted and _type(after, AS_WANTED).get("status") == "true":
        audit(PANEL, "node.in_step", row.node)


def _drifted(conditions: Sequence[Mapping[str, Any]]) -> str:
    found = _type(conditions, AS_WANTED)
    return str(found["message"]) if found.get("status") == "false" else ""


def _type(conditions: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    return next((each for each in conditions if each["type"] == kind), {})
