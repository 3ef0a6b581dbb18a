"""Starting renewals: at each tick the nodes that are due, a run for each group, none twice."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import chain

from django.db import transaction
from django.utils import timezone

from addons.actions import REISSUE
from addons.catalogue import addon_named
from addons.models import Certificate, Installation, Run
from addons.renewal.plan import TOGETHER, Renewal, Standing, renewal_of, slack
from addons.renewal.standing import renewing, standings_of
from addons.runs.services import run_create
from instances.audit import PANEL
from instances.errors import DomainError
from instances.models import Node

logger = logging.getLogger(__name__)

MOST_NAMED = 8


def renewals_tick(now: datetime | None = None) -> list[Run]:
    """Start a renewal on each group where one is to begin, and return the runs."""
    now = now or timezone.now()
    return list(chain.from_iterable(_start(each, now) for each in _with_something_due(now)))


def _with_something_due(now: datetime) -> list[Installation]:
    due = Certificate.objects.filter(state=Certificate.State.SERVING, renew_at__lte=now)
    living = Node.objects.filter(pk__in=due.values("node"))
    found = Installation.objects.filter(
        generation__gt=0, addon__in=renewing(), nodes__node__in=living.values("pk")
    )
    rows = found.select_related("group__environment").order_by("pk").distinct()
    return [each for each in rows if addon_named(each.addon).renews(each.spec)]


def _start(installation: Installation, now: datetime) -> list[Run]:
    """Start one, unless a run of the group is in the way, or nothing is to begin yet."""
    try:
        with transaction.atomic():
            # Of two that tick at the same time, the second one sees the run of the first.
            Installation.objects.select_for_update().get(pk=installation.pk)
            nodes, cause = _to_renew(installation, now)
            if not nodes:
                return []
            run = run_create(
                actor=PANEL,
                group=installation.group,
                addon=installation.addon,
                action=REISSUE,
                settings={},
                confirmed=True,
                nodes=nodes,
                cause=cause,
            )
    except DomainError as error:
        logger.warning("%s is not renewed now: %s", installation, error)
        return []
    return [run]


def _to_renew(installation: Installation, now: datetime) -> tuple[Collection[int], str]:
    """Return the nodes whose renewal begins now, and why; none while a run has their group."""
    standings = standings_of(_due_soon(installation, now), now)
    starting = {
        node: renewal
        for node, each in standings.items()
        if (renewal := renewal_of(_with_the_others(each, now), now)).starts(now)
    }
    # Who may go along with others does not begin by himself.
    if not any(standings[node].due <= now for node in starting):
        return (), ""
    return starting, _cause(starting)


def _due_soon(installation: Installation, now: datetime) -> list[int]:
    return list(
        installation.nodes.filter(
            node__certificates__state=Certificate.State.SERVING,
            node__certificates__renew_at__lte=now + TOGETHER,
        )
        .values_list("node", flat=True)
        .distinct()
    )


def _with_the_others(standing: Standing, now: datetime) -> Standing:
    soon = standing.due - now <= slack(standing.due, standing.ends)
    return replace(standing, due=min(standing.due, now)) if soon else standing


def _cause(starting: Mapping[int, Renewal]) -> str:
    """Say why, with the names of the nodes."""
    names = list(
        Node.objects.filter(pk__in=starting).order_by("name").values_list("name", flat=True)
    )
    told = ", ".join(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        told += f" and {len(names) - MOST_NAMED} more"
    if any(renewal.outside for renewal in starting.values()):
        return f"It would end before the next maintenance window opens: {told}."
    return f"A third of the certificates' life is left: {told}."
