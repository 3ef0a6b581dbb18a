"""Reads by name, for pages and commands."""

from collections.abc import Iterable

from django.db.models import (
    Count,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Window,
)
from django.db.models.functions import Coalesce, RowNumber

from instances.errors import NotFound
from instances.models import AuditEvent, Credential, Environment, Machine, Node, NodeGroup
from instances.reached import HOST_KEY_UNCONFIRMED, UNCONFIRMED
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


def environments_with_groups(found: QuerySet[Environment]) -> QuerySet[Environment]:
    """Return environments with their groups, each with its ``node_count``.

    Args:
        found: As few as a page shows.
    """
    return found.prefetch_related(Prefetch("groups", groups_sized().order_by("name")))


def groups_sized() -> QuerySet[NodeGroup]:
    """Return node groups with their ``node_count``."""
    # A group at a time, from the index of names: a join would read every node's row.
    nodes = Node.objects.filter(group=OuterRef("pk")).order_by().values("group")
    counted = Subquery(nodes.annotate(count=Count("pk")).values("count"))
    return NodeGroup.objects.annotate(node_count=Coalesce(counted, 0))


def holding(text: str, *fields: str) -> Q:
    """Return the condition that each word of a text is in one of the fields."""
    found = Q()
    for word in text.split():
        in_one = Q()
        for field in fields:
            in_one |= Q(**{f"{field}__icontains": word})
        found &= in_one
    return found


def environments_holding(text: str) -> QuerySet[Environment]:
    """Return the environments with each word in name or region, without their size."""
    return Environment.objects.filter(holding(text, "name", "region")).order_by("name")


def groups_holding(text: str) -> QuerySet[NodeGroup]:
    """Return the groups with each word in their own or their environment's name.

    One word at least is in their own: an environment's name alone finds the environment.
    """
    own = Q()
    for word in text.split():
        own |= Q(name__icontains=word)
    return (
        NodeGroup.objects.filter(own & holding(text, "name", "environment__name"))
        .select_related("environment")
        .order_by("environment__name", "name")
    )


def nodes_named(nodes: QuerySet[Node], text: str) -> QuerySet[Node]:
    """Keep the nodes with each word in their name or in what clients call them.

    Or at the beginning of their machine's address.
    """
    for word in text.split():
        machines = Machine.objects.filter(address__prefix=word)
        called = Q(name__contains=word.lower()) | Q(called__contains=word.lower())
        nodes = nodes.filter(called | Q(machine__in=machines))
    return nodes


def nodes_holding(text: str, most: int) -> list[Node]:
    """Return the first nodes by name of `nodes_named`, with where they belong."""
    # By key first: whole rows are only read of those that are shown.
    keys = nodes_named(Node.objects.order_by("name", "pk"), text).values_list("pk", flat=True)
    shown = nodes_listed().filter(pk__in=list(keys[:most]))
    return list(shown.defer("server_password", "facts", "fault").order_by("name", "pk"))


def nodes_listed() -> QuerySet[Node]:
    """Return nodes for a list: with their machines and where they belong."""
    return Node.objects.select_related("machine", "group__environment").defer("server_password")


def nodes_of_group(group: NodeGroup) -> QuerySet[Node]:
    """Return a group's nodes with their machines, without their passwords."""
    return (
        Node.objects.filter(group=group)
        .select_related("machine")
        .defer("server_password")
        .order_by("name")
    )


def first_nodes(groups: Iterable[NodeGroup], most: int) -> list[Node]:
    """Return the first nodes of each group by name, with their machines."""
    place = Window(RowNumber(), partition_by=F("group"), order_by="name")
    chosen = (
        Node.objects.filter(group__in=list(groups)).annotate(place=place).filter(place__lte=most)
    )
    # By key first: a window drags every column along that is asked for beside it.
    return list(
        nodes_listed().filter(pk__in=list(chosen.values_list("pk", flat=True))).order_by("name")
    )


def server_versions(nodes: QuerySet[Node]) -> list[tuple[str, str]]:
    """Return what servers there are among nodes: product and version."""
    known = nodes.exclude(version=None).exclude(product=None)
    return list(known.order_by("product", "version").values_list("product", "version").distinct())


def systems(nodes: QuerySet[Node]) -> list[str]:
    """Return the names of the operating systems there are among nodes."""
    known = nodes.exclude(system=None).order_by("system")
    return list(known.values_list("system", flat=True).distinct())


def nodes_with_fault() -> QuerySet[Node]:
    """Return the nodes whose last look failed, the longest-standing fault first.

    Those that only wait for their host key to be confirmed are not among them.
    """
    return (
        Node.objects.filter(fault_reason__isnull=False)
        .exclude(HOST_KEY_UNCONFIRMED)
        .select_related("machine", "group__environment")
        .defer("server_password", "facts")
        .order_by("looked_at", "pk")
    )


def nodes_with_unconfirmed_host_key() -> QuerySet[Node]:
    """Return the nodes whose machine showed a host key that nobody has compared."""
    unconfirmed = Machine.objects.filter(UNCONFIRMED)
    return (
        Node.objects.filter(machine__in=unconfirmed)
        .select_related("machine", "group__environment")
        .defer("server_password", "facts")
        .order_by("group__environment__name", "group__name", "name")
    )


def servers_at(addresses: Iterable[str]) -> QuerySet[Node]:
    """Return the nodes on machines with these addresses, with where they belong."""
    return (
        Node.objects.filter(machine__address__in=list(addresses))
        .select_related("machine", "group__environment")
        .defer("server_password", "facts", "fault")
    )


def node_numbered(pk: int) -> Node | None:
    """Return a node with everything its page shows, or None."""
    return (
        Node.objects.filter(pk=pk)
        .select_related("machine__credential", "group__environment")
        .defer("server_password", "machine__credential__private_key")
        .first()
    )


def groups_beside(group: NodeGroup) -> QuerySet[NodeGroup]:
    """Return the other groups of a group's environment."""
    others = NodeGroup.objects.filter(environment=group.environment_id).exclude(pk=group.pk)
    return others.order_by("name")


def node_has_password(node: Node) -> bool:
    """Say whether a password of the server is stored."""
    return Node.objects.filter(pk=node.pk).exclude(server_password="").exists()


def credentials_with_use() -> QuerySet[Credential]:
    """Return the SSH keys, each with ``machine_count``, without their private halves."""
    machines = Machine.objects.filter(credential=OuterRef("pk")).order_by().values("credential")
    counted = Subquery(machines.annotate(count=Count("pk")).values("count"))
    return Credential.objects.annotate(machine_count=Coalesce(counted, 0)).defer("private_key")


def audit_events(*, text: str = "") -> QuerySet[AuditEvent]:
    """Return the audit log, the newest first, narrowed to events that hold the text."""
    events = AuditEvent.objects.all()
    if text:
        events = events.filter(
            Q(target__icontains=text) | Q(verb__icontains=text) | Q(actor_name__icontains=text)
        )
    return events
