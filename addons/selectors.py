"""Reads for pages and commands."""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TypeVar
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from addons.actions import REISSUE
from addons.models import (
    Certificate,
    Installation,
    NodeInstallation,
    Run,
    RunNode,
    StepRecord,
)
from instances.models import AuditEvent, Environment, Node, NodeGroup
from instances.selectors import groups_sized

_HEX = re.compile(r"[0-9A-Fa-f]{4,64}")
RUNS_UNDER_WAY = (*Run.WAITING, *Run.ACTIVE)
_OfRun = TypeVar("_OfRun", RunNode, StepRecord)


def runs_under_way() -> int:
    """Return how many runs are queued or running."""
    return Run.objects.filter(state__in=RUNS_UNDER_WAY).count()


def runs_listed() -> QuerySet[Run]:
    """Return runs for a list: with where they belong and how many nodes are through."""
    through = Q(state__in=[RunNode.State.DONE, RunNode.State.UNCHANGED])
    return (
        Run.objects.select_related("installation__group__environment")
        .annotate(node_count=_nodes_of_run(Q()), nodes_through=_nodes_of_run(through))
        .order_by("-pk")
    )


def _nodes_of_run(which: Q) -> Coalesce:
    """Count a run at a time: a join would be summed up over all runs before a page is cut off."""
    rows = RunNode.objects.filter(which, run=OuterRef("pk")).order_by().values("run")
    return Coalesce(Subquery(rows.annotate(count=Count("pk")).values("count")), 0)


def runs_in_need() -> QuerySet[Run]:
    """Return runs that wait for a person.

    A stuck one always; one that was put back or refused, or whose preview is ready, while no later
    run on the same installation has taken its place. That of a refused re-issue is taken by one
    with the nodes that were refused: others go on without them.
    """
    later = Run.objects.filter(
        installation=OuterRef("installation"), pk__gt=OuterRef("pk")
    ).exclude(state=Run.State.DISCARDED)
    failed = RunNode.objects.filter(state=RunNode.State.FAILED, node__archived_at=None)
    with_it = Run.objects.filter(
        installation=OuterRef("run__installation"),
        pk__gt=OuterRef("run"),
        nodes__node=OuterRef("node"),
    ).exclude(state=Run.State.DISCARDED)
    left_out = failed.filter(~Exists(with_it), run=OuterRef("pk"))
    unanswered = Q(state__in=[Run.State.PUT_BACK, Run.State.REFUSED, Run.State.PREVIEWED])
    refused = Q(state=Run.State.REFUSED, action=REISSUE, installation__generation__gt=0)
    return (
        Run.objects.select_related("installation__group__environment")
        .filter(Q(state=Run.State.STUCK) | unanswered & ~Exists(later) | refused & Exists(left_out))
        .filter(installation__group__archived_at=None)
        .order_by("-pk")
    )


def run_numbered(pk: int) -> Run | None:
    """Return a run with where it belongs, or None."""
    return Run.objects.filter(pk=pk).select_related("installation__group__environment").first()


def runs_of_bundle(bundle: UUID) -> list[Run]:
    """Return the runs started by one click, in the order of their groups, with where they belong.

    Empty where there is no such bundle.
    """
    runs = Run.objects.filter(bundle=bundle).select_related("installation__group__environment")
    return list(
        runs.order_by("installation__group__environment__name", "installation__group__name")
    )


def nodes_of_runs(runs: Iterable[Run]) -> dict[int, list[RunNode]]:
    """Return the nodes of each run in their order, by the run's key."""
    rows = RunNode.objects.filter(run__in=list(runs)).select_related("node")
    return _by_run(
        rows.defer("node__server_password", "node__facts", "node__fault").order_by("position")
    )


def nodes_awaited(runs: Iterable[Run]) -> dict[int, RunNode]:
    """Return, of each queued run that waits for another one's end, a node whose machine that has.

    By the run's key, with the other run as ``node.machine.active_run.run``.
    """
    queued = [run for run in runs if run.state == Run.State.QUEUED]
    if not queued:
        return {}
    held = RunNode.objects.filter(run__in=queued, node__machine__active_run__isnull=False)
    rows = held.order_by("-position").select_related(
        "node", "node__machine__active_run__run__installation__group__environment"
    )
    return {row.run_id: row for row in rows.defer("node__server_password", "node__facts")}


def records_of_runs(runs: Iterable[Run]) -> dict[int, list[StepRecord]]:
    """Return what runs recorded, in order, by the run's key; without what they saw before."""
    rows = StepRecord.objects.filter(run__in=list(runs)).select_related("node")
    return _by_run(
        rows.defer("state", "node__server_password", "node__facts", "node__fault").order_by("pk")
    )


def run_events(run: Run) -> QuerySet[AuditEvent]:
    """Return what the audit log has on a run, in order."""
    # As `Run.__str__` begins; the rest of it changes when a group is renamed.
    return AuditEvent.objects.filter(target__startswith=f"run {run.pk}:").order_by("at", "pk")


def _by_run(rows: Iterable[_OfRun]) -> dict[int, list[_OfRun]]:
    runs: defaultdict[int, list[_OfRun]] = defaultdict(list)
    for row in rows:
        runs[row.run_id].append(row)
    return runs


def installations_on(group: NodeGroup) -> dict[str, Installation]:
    """Return a group's installations by add-on, one that was never reached included."""
    return {each.addon: each for each in Installation.objects.filter(group=group)}


def groups_with(addon: str) -> QuerySet[NodeGroup]:
    """Return the node groups that an add-on is on, each with ``node_count``."""
    on = Installation.objects.filter(addon=addon, generation__gt=0)
    groups = groups_sized().filter(pk__in=on.values("group"))
    return groups.select_related("environment").order_by("environment__name", "name")


def groups_in(environment: Environment) -> QuerySet[NodeGroup]:
    """Return the node groups of an environment, each with ``node_count``."""
    groups = groups_sized().filter(environment=environment)
    return groups.select_related("environment").order_by("name")


def groups_by_addon() -> dict[str, int]:
    """Return on how many node groups each add-on is, those on none left out."""
    on = Installation.objects.filter(generation__gt=0).values_list("addon")
    return dict(on.annotate(Count("pk")).order_by("addon"))


def groups_at_work(groups: Iterable[NodeGroup]) -> set[int]:
    """Return the keys of the groups on which a run is queued or under way."""
    runs = Run.objects.filter(installation__group__in=list(groups))
    begun = runs.filter(state__in=[Run.State.QUEUED, *Run.ACTIVE])
    return set(begun.values_list("installation__group", flat=True))


def node_installations(
    installations: Iterable[Installation], nodes: Iterable[Node]
) -> list[NodeInstallation]:
    """Return what installations have on some of their nodes, without the way back."""
    return list(
        NodeInstallation.objects.filter(installation__in=list(installations), node__in=list(nodes))
        .select_related("node", "installation")
        .defer("baseline", "node__server_password", "node__facts")
        .order_by("node__name")
    )


def last_runs(installations: Iterable[Installation]) -> dict[int, Run]:
    """Return the latest run of each installation that has one, discarded previews left out."""
    latest: dict[int, Run] = {}
    runs = Run.objects.filter(installation__in=list(installations)).exclude(
        state=Run.State.DISCARDED
    )
    later = Run.objects.filter(
        installation=OuterRef("installation"), pk__gt=OuterRef("pk")
    ).exclude(state=Run.State.DISCARDED)
    for run in runs.exclude(Exists(later)):
        latest[run.installation_id] = run
    return latest


def certificates_of(node: Node) -> QuerySet[Certificate]:
    """Return the certificates issued to a node, the newest first."""
    return (
        Certificate.objects.filter(node=node)
        .select_related("authority")
        .defer("authority__private_key", "authority__certificate")
        .order_by("-pk")
    )


def certificates_holding(text: str) -> QuerySet[Certificate]:
    """Return nodes' certificates by name, serial or fingerprint, the newest first."""
    found = Certificate.objects.filter(node__isnull=False, node__archived_at=None)
    for word in text.split():
        # By OR, not as below: of a frequent word only the newest that are shown are read.
        found = found.filter(reduce(or_, _beginning(word)))
    return found.order_by("-pk")


def certificate_written(certificates: QuerySet[Certificate], text: str) -> QuerySet[Certificate]:
    """Keep the certificates whose name, serial or fingerprint begins with each word."""
    for word in text.split():
        # One index each: a condition joined by OR would read every row.
        keys = [
            Certificate.objects.filter(each).order_by().values("pk") for each in _beginning(word)
        ]
        certificates = certificates.filter(pk__in=keys[0].union(*keys[1:]))
    return certificates


def _beginning(word: str) -> list[Q]:
    """Return where a word may stand; of a fingerprint and serial with or without its colons."""
    found = [Q(subject__prefix=word), Q(subject__prefix=f"CN={word}"), Q(first_name__prefix=word)]
    digits = word.replace(":", "")
    if _HEX.fullmatch(digits):
        pairs = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
        found += [Q(serial__prefix=digits.lower()), Q(fingerprint__prefix=pairs.upper())]
    return found


def records_applied(
    node: Node, runs: Iterable[int], installations: Iterable[int]
) -> list[StepRecord]:
    """Return what runs did on a node, in order, without what they saw before.

    Args:
        node: The node.
        runs: Their keys.
        installations: Keys; what was done there since by other runs that succeeded counts as well.
    """
    among = set(runs)
    later = Run.objects.filter(
        installation__in=list(installations), state=Run.State.SUCCEEDED, pk__gt=min(among)
    )
    told = StepRecord.objects.filter(node=node, kind=StepRecord.Kind.APPLIED)
    told = told.filter(Q(run__in=among) | Q(run__in=later.values("pk")))
    return list(told.defer("state").order_by("pk"))
