"""What people ask of the watch: look now, and take what was found for wanted."""

from collections.abc import Iterable

from django.utils import timezone

from addons.actions import CONFIGURE
from addons.catalogue import addon_named
from addons.engine.conditions import AS_WANTED
from addons.models import Installation, MachineLock, NodeInstallation, Run
from addons.runs.services import run_create
from addons.watch.schedule import observable, observe_ask
from instances.audit import Actor, audit
from instances.errors import Conflict
from instances.models import Node, NodeGroup
from instances.reason import Reason


def group_verify(*, actor: Actor, group: NodeGroup, addon: str) -> list[Node]:
    """Have every node of a group looked at now, and return those that are.

    Raises:
        NotFound: There is no such add-on.
        Conflict: It is not on the group, or a run has all of its machines.
        OperationalError: The broker is out of reach.
    """
    found = installation_on(group=group, addon=addon)
    nodes = _asked(NodeInstallation.objects.filter(installation=found), str(group))
    audit(actor, "installation.verify", found)
    return nodes


def node_verify(*, actor: Actor, node: Node) -> None:
    """Have a node looked at now, for each add-on that is on it.

    Raises:
        Conflict: There is none, or a run has its machine.
        OperationalError: The broker is out of reach.
    """
    _asked(NodeInstallation.objects.filter(node=node, installation__generation__gt=0), node.name)
    audit(actor, "node.verify", node)


def installation_on(*, group: NodeGroup, addon: str) -> Installation:
    """Return an add-on on a group.

    Raises:
        NotFound: There is no such add-on.
        Conflict: It is not on the group.
    """
    kind = addon_named(addon)
    found = Installation.objects.filter(group=group, addon=addon, generation__gt=0).first()
    if found is None:
        raise Conflict(
            Reason("NotInstalled", f"{kind.title} is not installed on {group}.", "Install it.")
        )
    return found


def drift_accept(*, actor: Actor, group: NodeGroup, addon: str, node: int) -> Run:
    """Ask for a preview in which what was found on a node is the wanted, for the whole group.

    Raises:
        NotFound: There is no such add-on.
        Conflict: Nothing was found there that a setting can express.
    """
    row = NodeInstallation.objects.filter(
        installation__group=group, installation__addon=addon, node=node
    ).first()
    settings = row_acceptable(row) if row else {}
    if not settings:
        raise Conflict(
            Reason(
                "NothingToAccept",
                "Nothing was found there that a setting could express.",
                "Repair it, or look at the node again.",
            )
        )
    return run_create(
        actor=actor, group=group, addon=addon, action=CONFIGURE, settings=settings, confirmed=False
    )


def row_acceptable(row: NodeInstallation) -> dict[str, str]:
    """Return the settings by which what was found on a node would be the wanted."""
    addon = addon_named(row.installation.addon)
    return addon.acceptable(row.drift) if has_drifted(row) else {}


def has_drifted(row: NodeInstallation) -> bool:
    """Say whether the latest comparison found something other than wanted."""
    return any(each["type"] == AS_WANTED and each["status"] == "false" for each in row.conditions)


def _asked(rows: Iterable[NodeInstallation], where: str) -> list[Node]:
    wanted = {row.pk for row in rows}
    free = list(observable().filter(pk__in=wanted).select_related("node__group__environment"))
    if not free:
        raise _nothing(wanted, where)
    observe_ask([row.pk for row in free], now=timezone.now())
    return [row.node for row in free]


def _nothing(wanted: set[int], where: str) -> Conflict:
    lock = MachineLock.objects.filter(machine__nodes__installations__in=wanted).first()
    if lock is None:
        return Conflict(Reason("NotInstalled", f"No add-on is on {where}."))
    return Conflict(
        Reason(
            "RunUnderWay",
            f"Run {lock.run_id} has the machines of {where}, so nobody else looks at them now.",
            "Wait for its end: it verifies each node itself.",
        )
    )
