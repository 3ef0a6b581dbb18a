"""What nodes say of the servers around them: stored, read, and compared within a group."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from instances.errors import fault
from instances.models import Node, NodeGroup, NodeTopology
from instances.nodeconf.facts import NodeFacts
from instances.nodeconf.topology.disagreeing import disagreements
from instances.nodeconf.topology.known import Known
from instances.nodeconf.topology.seen import Seen, seen_from_json, seen_json


def topology_store(
    *, node: Node, facts: NodeFacts | None, seen: Seen | None, now: datetime
) -> None:
    """Store what a node said, and whether its group is of one mind.

    Args:
        node: The node.
        facts: Of the same look; None where its machine was not reached.
        seen: None where its server does not answer: then what it last said stays.
        now: The present time.
    """
    if facts is not None:
        _account_store(node, facts, seen, now)
    group_compare(group=node.group_id)


def _account_store(node: Node, facts: NodeFacts, seen: Seen | None, now: datetime) -> None:
    row = NodeTopology.objects.filter(node=node).first() or NodeTopology(node=node)
    row.hosts = [str(address.ip) for address in facts.addresses]
    row.ports = [port for port in (facts.server.port, facts.server.tls_port) if port]
    if seen is not None:
        row.member = seen.cluster.me if seen.cluster else ""
        row.seen = seen_json(_born(seen, seen_from_json(row.seen)))
        row.seen_at = now
    row.save()


def _born(seen: Seen, before: Seen | None) -> Seen:
    """Keep what was seen of a process once: its file may be written again since."""
    same = before is not None and before.run_id == seen.run_id
    if same and before and before.bus_born_over_tls and seen.bus_over_tls:
        return replace(seen, bus_born_over_tls=True)
    return seen


def group_compare(*, group: int) -> None:
    """Store where a group's nodes contradict each other now, if that has changed."""
    found = disagreements(known_in(group))
    said = fault(found[0]) if found else {}
    rows = NodeGroup.objects.filter(pk=group)
    if rows.values_list("disagreement", flat=True).first() != said:
        rows.update(disagreement=said)


def known_in(group: int) -> list[Known]:
    """Return the nodes of a group as others may speak of them, and what they said, in one query."""
    rows = Node.objects.filter(group=group).order_by("name")
    return [known_of(row) for row in rows.values(*KNOWN)]


KNOWN = (
    *("pk", "name", "client_addresses", "looked_at", "fault", "machine__address"),
    *(f"topology__{name}" for name in ("hosts", "ports", "seen", "seen_at")),
)
"""The columns that `known_of` reads."""


def known_of(row: Mapping[str, Any]) -> Known:
    """Return a node as others may speak of it, from its row."""
    seen_at, looked_at = row["topology__seen_at"], row["looked_at"]
    late = bool(looked_at) and (seen_at is None or seen_at < looked_at)
    hosts: Iterable[str] = (
        row["machine__address"],
        *row["client_addresses"],
        *(row["topology__hosts"] or ()),
    )
    return Known(
        key=row["pk"],
        name=row["name"],
        hosts=frozenset(hosts),
        ports=frozenset(row["topology__ports"] or ()),
        seen=seen_from_json(row["topology__seen"]) if row["topology__seen"] else None,
        seen_at=seen_at,
        silent=str(row["fault"].get("message", "")) if late else "",
    )


def looked_at_since(group: NodeGroup, moment: datetime) -> bool:
    """Say whether every node of a group has been looked at since then."""
    nodes = Node.objects.filter(group=group)
    late = nodes.filter(looked_at=None) | nodes.filter(looked_at__lt=moment)
    return not late.exists()


def groups_disagreeing() -> QuerySet[NodeGroup]:
    """Return the groups whose nodes contradict each other."""
    found = NodeGroup.objects.filter(disagreement_reason__isnull=False)
    return found.select_related("environment").order_by("environment__name", "name")
