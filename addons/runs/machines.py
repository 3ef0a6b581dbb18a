"""The machines that a run has to itself: those of its nodes, and of the clusters these are in."""

from django.db.models import QuerySet

from addons.models import MachineLock, Run
from addons.runs.bell import ring
from instances.models import Machine, Node
from instances.neighbours import cluster_members


def machines_wanted(run: int) -> QuerySet[Machine]:
    """Return the machines that nobody else may work on while a run does.

    With the rest of a cluster, wherever it is managed: two runs could each restart one of the two
    nodes that have the same slots.
    """
    nodes = Node.objects.filter(run_nodes__run=run)
    return Machine.objects.filter(pk__in={*_of(nodes), *_of(cluster_members(nodes))})


def _of(nodes: QuerySet[Node]) -> QuerySet[Node, int]:
    return nodes.order_by().values_list("machine", flat=True)


def machines_lock(run: int) -> None:
    """Insert the locks.

    Raises:
        IntegrityError: Another run holds one of the machines.
    """
    machines = machines_wanted(run).order_by("pk")
    MachineLock.objects.bulk_create(MachineLock(machine=each, run_id=run) for each in machines)


def machines_free(run: Run) -> None:
    """Give a run's machines back, and enqueue the queued runs that may have waited for them."""
    machines = list(run.locks.values_list("machine", flat=True))
    run.locks.all().delete()
    waiting = Run.objects.filter(state=Run.State.QUEUED, nodes__node__machine__in=machines)
    for pk in waiting.order_by("pk").values_list("pk", flat=True).distinct():
        ring(pk)
