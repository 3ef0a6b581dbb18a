"""The machines that a run has to itself: those of its nodes, and of the clusters these are in."""

from itertools import chain

from addons.models import MachineLock, Run
from addons.runs.bell import ring
from instances.models import Node
from instances.neighbours import cluster_members


def machines_wanted(run: int) -> set[int]:
    """Return the keys of the machines that nobody else may work on while a run does.

    With the rest of a cluster, wherever it is managed: two runs could each restart one of the two
    nodes that have the same slots.
    """
    nodes = Node.recorded.filter(run_nodes__run=run)
    found = (each.values_list("machine", flat=True) for each in (nodes, cluster_members(nodes)))
    return set(chain.from_iterable(found))


def machines_lock(run: int) -> None:
    """Insert the locks.

    Raises:
        IntegrityError: Another run holds one of the machines.
    """
    machines = sorted(machines_wanted(run))
    MachineLock.objects.bulk_create(MachineLock(machine_id=each, run_id=run) for each in machines)


def machines_free(run: Run) -> None:
    """Give a run's machines back, and enqueue the queued runs that may have waited for them."""
    machines = list(run.locks.values_list("machine", flat=True))
    run.locks.all().delete()
    waiting = Run.objects.filter(state=Run.State.QUEUED, nodes__node__machine__in=machines)
    for pk in waiting.order_by("pk").values_list("pk", flat=True).distinct():
        ring(pk)
