"""Carrying looks out: a few nodes at once, each in a thread; this one alone uses the database."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from itertools import groupby

from django.utils import timezone

from addons.actions import INSTALL
from addons.catalogue import Planner, addon_named
from addons.models import Installation, NodeInstallation, Run
from addons.runs.briefs import briefs_of
from addons.runs.explain import explain
from addons.session import NodeBrief
from addons.watch.look import Look, look
from addons.watch.results import look_store
from addons.watch.schedule import observable

logger = logging.getLogger(__name__)

_Asked = tuple[NodeInstallation, NodeBrief, Planner]


def nodes_observe(*, rows: Sequence[int], asked_at: datetime) -> None:
    """Look at nodes on which an add-on is, and store what is there.

    Delivered twice, or for a node that was looked at since, this does nothing.

    Args:
        rows: The keys of what is installed on them.
        asked_at: When the look was asked for.
    """
    began = timezone.now()
    taken = [row for row in _rows(rows) if _take(row, asked_at, began)]
    asked = list(_prepared(taken))
    if not asked:
        return
    with ThreadPoolExecutor(max_workers=len(asked)) as threads:
        looks = {threads.submit(look, brief, planner): row for row, brief, planner in asked}
        for done in as_completed(looks):
            _store(looks[done], done.result(), began)


def _rows(keys: Sequence[int]) -> list[NodeInstallation]:
    found = (
        observable()
        .filter(pk__in=keys)
        .select_related(
            "installation__group__environment",
            "node__machine__credential",
            "node__machine__jump_host__credential",
        )
    )
    return list(found.defer("baseline").order_by("installation", "pk"))


def _take(row: NodeInstallation, asked_at: datetime, now: datetime) -> bool:
    """Compare and swap: of two who are told the same, one looks."""
    rows = NodeInstallation.objects.filter(pk=row.pk)
    untouched = rows.filter(checked_at=None) | rows.filter(checked_at__lt=asked_at)
    return bool(untouched.update(checked_at=now))


def _prepared(rows: Iterable[NodeInstallation]) -> Iterable[_Asked]:
    for _, group in groupby(rows, lambda row: row.installation_id):
        members = list(group)
        installation = members[0].installation
        try:
            planner, briefs = _planned(installation, members)
        except Exception as error:  # noqa: BLE001 -- one that cannot be planned spares the others
            logger.warning("%s cannot be looked at: %s", installation, explain(error).message)
            continue
        yield from ((row, briefs[row.node_id], planner) for row in members)


def _planned(
    installation: Installation, rows: Sequence[NodeInstallation]
) -> tuple[Planner, Mapping[int, NodeBrief]]:
    # A run that is never saved: the preview of an install with the settings that are in force.
    run = Run(
        installation=installation,
        action=INSTALL,
        spec=installation.spec,
        state=Run.State.PREVIEWING,
    )
    briefs = briefs_of(installation, [row.node for row in rows])
    return addon_named(installation.addon).planner(run), briefs


def _store(row: NodeInstallation, found: Look, began: datetime) -> None:
    if not look_store(row=row, look=found, began=began, now=timezone.now()):
        logger.info("%s: a run has had it meanwhile, so the look does not count", row.node)
