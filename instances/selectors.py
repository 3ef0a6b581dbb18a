"""Reads by name, for pages and commands."""

from django.db.models import Count, Prefetch, Q, QuerySet

from instances.errors import NotFound
from instances.models import AuditEvent, Credential, Environment, Node, NodeGroup
from instances.reason import Reason


def environment_named(name: str) -> Environment:
    """Return the environment.

    Raises:
        NotFound: There is none of that name.
    """
    found = Environment.objects.filter(name=name).first()
    if found is None:
        raise NotFound(
            Reason(
                "NoEnvironment",
                f"There is no environment “{name}”.",
                "`manage.py environment list` shows those there are.",
            )
        )
    return found


def group_named(environment: str, name: str) -> NodeGroup:
    """Return the node group of that name in the environment of that name.

    Raises:
        NotFound: There is no such environment or group.
    """
    found = NodeGroup.objects.filter(environment=environment_named(environment), name=name).first()
    if found is None:
        raise NotFound(
            Reason(
                "NoGroup",
                f"Environment “{environment}” has no node group “{name}”.",
                f"`manage.py node list {environment}` shows those there are.",
            )
        )
    return found


def environments_found(text: str = "") -> QuerySet[Environment]:
    """Return the environments whose name or region holds the text, with their size.

    Each has ``node_count``; its groups, each with its own, are fetched with it.
    """
    groups = NodeGroup.objects.annotate(node_count=Count("nodes")).order_by("name")
    found = Environment.objects.annotate(node_count=Count("groups__nodes")).order_by("name")
    found = found.prefetch_related(Prefetch("groups", groups))
    if text:
        found = found.filter(Q(name__icontains=text) | Q(region__icontains=text))
    return found


def nodes_of_group(group: NodeGroup) -> QuerySet[Node]:
    """Return a group's nodes with their machines, without their passwords."""
    return (
        Node.objects.filter(group=group)
        .select_related("machine")
        .defer("server_password")
        .order_by("name")
    )


def nodes_with_fault() -> QuerySet[Node]:
    """Return the nodes whose last look failed, the longest-standing fault first.

    Those that only wait for their host key to be confirmed are not among them.
    """
    return (
        Node.objects.exclude(fault={})
        .exclude(Q(machine__host_key_confirmed_at=None) & ~Q(machine__host_key=""))
        .select_related("machine", "group__environment")
        .defer("server_password", "facts")
        .order_by("looked_at", "pk")
    )


def nodes_with_unconfirmed_host_key() -> QuerySet[Node]:
    """Return the nodes whose machine showed a host key that nobody has compared."""
    return (
        Node.objects.filter(machine__host_key_confirmed_at=None)
        .exclude(machine__host_key="")
        .select_related("machine", "group__environment")
        .defer("server_password", "facts")
        .order_by("group__environment__name", "group__name", "name")
    )


def node_numbered(pk: int) -> Node | None:
    """Return a node with everything its page shows, or None."""
    return (
        Node.objects.filter(pk=pk)
        .select_related("machine__credential", "group__environment")
        .defer("server_password", "machine__credential__private_key")
        .first()
    )


def node_has_password(node: Node) -> bool:
    """Say whether a password of the server is stored."""
    return Node.objects.filter(pk=node.pk).exclude(server_password="").exists()


def credentials_with_use() -> QuerySet[Credential]:
    """Return the SSH keys, each with ``machine_count``, without their private halves."""
    return Credential.objects.annotate(machine_count=Count("machines")).defer("private_key")


def audit_events(*, text: str = "") -> QuerySet[AuditEvent]:
    """Return the audit log, the newest first, narrowed to events that hold the text."""
    events = AuditEvent.objects.all()
    if text:
        events = events.filter(
            Q(target__icontains=text) | Q(verb__icontains=text) | Q(actor_name__icontains=text)
        )
    return events
