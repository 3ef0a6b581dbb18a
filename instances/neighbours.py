"""Nodes of other groups that belong to what is in one group: to its cluster, its replication."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q, QuerySet

from instances.models import Node, NodeGroup, NodeTopology
from instances.nodeconf.topology.known import Known, Register
from instances.nodeconf.topology.seen import Seen, seen_from_json
from instances.nodeconf.topology.strangers import Stranger, mentioned
from instances.topology import KNOWN, known_of

_HOME = ("group", "group__name", "group__environment", "group__environment__name")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A node of another group.

    Args:
        node: Its number.
        beside: Whether its group is in the same environment.
    """

    node: int
    name: str
    group_key: int
    group: str
    environment: str
    beside: bool

    @property
    def place(self) -> str:
        """Its group, and the environment where that is another one."""
        return self.group if self.beside else f"{self.environment} / {self.group}"

    def __str__(self) -> str:
        return f"{self.name} ({self.place})"


def cluster_neighbours(group: NodeGroup, known: Iterable[Known]) -> dict[str, Neighbour]:
    """Return the nodes of other groups that are in one cluster with some, by their ids in it.

    Args:
        group: Whose nodes are left out.
        known: Its nodes, with what they last said.
    """
    met = _met(each.seen for each in known)
    if not met:
        return {}
    rows = Node.objects.filter(topology__member__in=met).exclude(group=group).order_by("name")
    return {
        row["topology__member"]: _neighbour(row, group)
        for row in rows.values("pk", "name", "topology__member", *_HOME)
    }


def cluster_members(nodes: QuerySet[Node]) -> QuerySet[Node]:
    """Return the nodes of the clusters that some nodes are in, those included, wherever managed."""
    told = NodeTopology.objects.filter(node__in=nodes).exclude(member="")
    return Node.objects.filter(
        topology__member__in=_met(map(seen_from_json, told.values_list("seen", flat=True)))
    )


def _met(told: Iterable[Seen | None]) -> set[str]:
    """Return the ids of everybody in the clusters that nodes tell of."""
    clusters = [seen.cluster for seen in told if seen and seen.cluster]
    return {node.id for cluster in clusters for node in cluster.nodes}


def known_around(
    group: NodeGroup, known: Sequence[Known]
) -> tuple[list[Known], dict[int, Neighbour]]:
    """Return a group's nodes with those of others that they tell of, and where these are at home.

    One whose name somebody in the group has, too, is called by its place besides.

    Args:
        known: The group's own.
    """
    everybody, homes = list(known), dict[int, Neighbour]()
    names = {each.name for each in known}
    while found := list(_new(everybody, group)):
        for each, home in found:
            name = str(home) if each.name in names else each.name
            everybody.append(replace(each, name=name))
            homes[each.key] = home
    return everybody, homes


def _new(there: Sequence[Known], group: NodeGroup) -> Iterator[tuple[Known, Neighbour]]:
    """Yield who is spoken of, managed, and not there yet."""
    register = Register(there)
    told = [each for one in there if one.seen for each in mentioned(one.seen, register, one)]
    if not told:
        return
    asked = Q(topology__member__in={each.number for each in told if each.number})
    asked |= Q(machine__address__in={each.place.address for each in told})
    rows = Node.objects.filter(asked).exclude(pk__in=[each.key for each in there])
    homes = {
        row["pk"]: (known_of(row), _neighbour(row, group))
        for row in rows.order_by("pk").values(*KNOWN, *_HOME)
    }
    managed = Register(each for each, _ in homes.values())
    meant = {found.key for each in told if (found := _meant(managed, each))}
    yield from (homes[key] for key in sorted(meant))


def _meant(managed: Register, stranger: Stranger) -> Known | None:
    return managed.find(stranger.place, number=stranger.number)


def _neighbour(row: Mapping[str, Any], group: NodeGroup) -> Neighbour:
    return Neighbour(
        node=row["pk"],
        name=row["name"],
        group_key=row["group"],
        group=row["group__name"],
        environment=row["group__environment__name"],
        beside=row["group__environment"] == group.environment_id,
    )
