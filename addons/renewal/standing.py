"""Where nodes stand with their renewal, from the database."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Min, OuterRef, Q, QuerySet, Subquery

from addons.actions import REISSUE
from addons.catalogue import addon_named, all_addons
from addons.engine.conditions import REACHED
from addons.models import (
    Certificate,
    EnvironmentAuthority,
    NodeInstallation,
    Run,
    RunNode,
)
from addons.renewal.plan import Failures, Renewal, Standing, renewal_of
from instances.models import MaintenanceWindow
from instances.windows import Window

PATIENCE = timedelta(days=1)
"""For how long a preview that waits for somebody holds a renewal back."""
_State = Run.State
_FAILED = (_State.PUT_BACK, _State.REFUSED, _State.RESOLVED)
_SERVING = Q(node__certificates__state=Certificate.State.SERVING)


def renewals_of(nodes: Collection[int], now: datetime) -> dict[int, Renewal]:
    """Return what becomes of the certificates of nodes, by the node's key; three queries.

    Nodes without certificates of ours are left out.
    """
    return {node: renewal_of(each, now) for node, each in standings_of(nodes, now).items()}


def standings_of(nodes: Collection[int], now: datetime) -> dict[int, Standing]:
    """Return what decides about nodes, by the node's key."""
    rows = list(_rows(nodes))
    windows = _windows({row.installation.group.environment_id for row in rows})
    runs = _parts(rows, now)
    return {
        row.node_id: _standing(
            row, windows[row.installation.group.environment_id], runs[row.installation_id]
        )
        for row in rows
    }


def renewing() -> list[str]:
    """Return the add-ons that can issue certificates anew."""
    return [addon.slug for addon in all_addons() if REISSUE in addon.actions]


def runs_in_the_way(now: datetime) -> QuerySet[Run]:
    """Return the runs beside which no renewal begins: under way, stuck, or just previewed."""
    fresh = Q(state=_State.PREVIEWED, created_at__gt=now - PATIENCE)
    return Run.objects.filter(
        Q(state__in=[*Run.WAITING, *Run.ACTIVE, _State.STUCK]) | fresh,
    )


def _rows(nodes: Collection[int]) -> QuerySet[NodeInstallation]:
    issuing = EnvironmentAuthority.objects.filter(
        environment=OuterRef("installation__group__environment"),
        phase=EnvironmentAuthority.Phase.ISSUING,
    )
    return (
        NodeInstallation.objects.filter(
            node__in=nodes,
            node__archived_at=None,
            installation__generation__gt=0,
            installation__addon__in=renewing(),
        )
        .annotate(
            due=Min("node__certificates__renew_at", filter=_SERVING),
            ends=Min("node__certificates__not_after", filter=_SERVING),
            issued_by=Max("node__certificates__run", filter=_SERVING),
            last=Subquery(issuing.values("authority__not_after")[:1]),
        )
        .exclude(due=None)
        .select_related("installation__group")
        .defer("baseline", "observed", "drift")
    )


def _windows(environments: Iterable[int]) -> Mapping[int, Sequence[Window]]:
    found: dict[int, list[Window]] = defaultdict(list)
    for each in MaintenanceWindow.objects.filter(environment__in=environments):
        found[each.environment_id].append(each.window)
    return found


def _parts(rows: Sequence[NodeInstallation], now: datetime) -> Mapping[int, Sequence[RunNode]]:
    """Return, by installation, the nodes' parts in renewals that failed, and the runs in the way.

    The latter by the part of any one node: a run on a group keeps all of it.
    """
    # What somebody did not let begin is not begun again at once either.
    ended = Q(run__state__in=_FAILED) | Q(run__state=_State.DISCARDED) & ~Q(run__cause="")
    failed = ended & Q(run__action=REISSUE, node__in=[row.node_id for row in rows])
    in_the_way = Q(run__in=runs_in_the_way(now).values("pk"), position=0)
    parts = (
        RunNode.objects.filter(failed | in_the_way)
        .filter(run__installation__in={row.installation_id for row in rows})
        .select_related("run")
        .defer("preview", "run__spec")
        .order_by("run_id")
    )
    found: dict[int, list[RunNode]] = defaultdict(list)
    for part in parts:
        found[part.run.installation_id].append(part)
    return found


def _standing(
    row: NodeInstallation, windows: Sequence[Window], parts: Sequence[RunNode]
) -> Standing:
    due, ends, last = row.due, row.ends, row.last  # type: ignore[attr-defined]
    run = next((part.run for part in parts if not _over(part.run)), None)
    return Standing(
        due=due,
        ends=ends,
        gains=last is None or ends < last,
        on=addon_named(row.installation.addon).renews(row.installation.spec),
        reached=_reached(row),
        windows=windows,
        run=run.pk if run else None,
        stuck=run is not None and run.state == _State.STUCK,
        previewed=run is not None and run.state == _State.PREVIEWED,
        failures=_failures(row, parts),
    )


def _failures(row: NodeInstallation, parts: Iterable[RunNode]) -> Failures | None:
    issued_by = row.issued_by or 0  # type: ignore[attr-defined]
    failed = [
        part.run
        for part in parts
        if part.node_id == row.node_id and part.run_id > issued_by and _at_fault(part)
    ]
    if not failed:
        return None
    last = failed[-1]
    why = str(last.failure.get("message", ""))
    return Failures(len(failed), last.ended_at or last.created_at, why)


def _at_fault(part: RunNode) -> bool:
    """Say whether a failed run counts against one of its nodes.

    One that was refused touched nothing: only those that were refused wait, the others go on
    without them. One that was put back counts against all: the next might fail alike.
    """
    run = part.run
    if not _over(run):
        return False
    if run.state != _State.REFUSED or not run.failure.get("node"):
        return True
    return part.state == RunNode.State.FAILED


def _over(run: Run) -> bool:
    return run.state in {*_FAILED, _State.DISCARDED}


def _reached(row: NodeInstallation) -> bool:
    """Say whether the latest look reached the node; where nobody looks, a try tells."""
    if not settings.OBSERVE_INTERVAL:
        return True
    return all(each["status"] == "true" for each in row.conditions if each["type"] == REACHED)
