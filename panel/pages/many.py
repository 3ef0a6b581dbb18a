"""A pasted list of nodes, brought together with what is registered already."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from instances.inventory import Inventory, Mistake, Row, parse_inventory
from instances.models import NAME, Node, NodeGroup
from instances.remote.host_key import fingerprint
from instances.remote.known_hosts import find_host_keys
from instances.selectors import servers_at
from instances.services import NodeRequest, name_from

KINDS: Mapping[str, str] = {
    "list": "a plain list",
    "csv": "CSV",
    "ansible": "an Ansible inventory",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One node as it would be registered.

    Args:
        key: The fingerprint its machine's key is expected to have; empty where none came along.
        pinned: Whether that is from the known_hosts file: the key counts as compared.
    """

    line: int
    request: NodeRequest
    key: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class ManyNodes:
    """A list that was read.

    Args:
        kind: What it was taken for, in words.
        mistakes: By line. With any of them, nothing is registered.
    """

    kind: str
    entries: Sequence[Entry]
    mistakes: Sequence[Mistake]


def many_nodes(group: NodeGroup, typed: Mapping[str, Any]) -> ManyNodes:
    """Read a list and compare it with what there is, in two queries.

    Args:
        group: Where the nodes are to go.
        typed: The cleaned values of `ManyNodesForm`.
    """
    inventory = _narrowed(parse_inventory(typed["text"]), typed["only"])
    made = [_entry(row, typed) for row in inventory.rows]
    entries = [each for each in made if isinstance(each, Entry)]
    mistakes = [*inventory.mistakes, *(each for each in made if isinstance(each, Mistake))]
    mistakes += _taken(group, entries)
    if not entries and not mistakes:
        of = f" in the group “{typed['only']}”" if typed["only"] else ""
        mistakes.append(Mistake(1, "", f"There is no node{of}."))
    mistakes.sort(key=lambda each: each.line)
    return ManyNodes(KINDS[inventory.kind], entries, mistakes)


def _narrowed(inventory: Inventory, only: str) -> Inventory:
    """Keep the hosts of one Ansible group; another form of list has no groups."""
    if not only or inventory.kind != "ansible":
        return inventory
    return replace(inventory, rows=tuple(row for row in inventory.rows if only in row.groups))


def _entry(row: Row, typed: Mapping[str, Any]) -> Entry | Mistake:
    port = row.port or typed["ssh_port"]
    known = _known(typed["known_hosts"], row.address, port)
    pinned = [fingerprint(line) for line in find_host_keys(known, row.address, port)]
    expected = row.host_key.rstrip("=")
    if expected and pinned and expected not in pinned:
        message = "The known_hosts file has another key for this machine."
        return Mistake(row.line, row.address, message)
    name = row.name or name_from(row.address)
    if not re.fullmatch(NAME.regex, name):
        return Mistake(row.line, row.address, "No name can be made from this address: write one.")
    request = NodeRequest(
        address=row.address,
        name=name,
        ssh_port=port,
        user=row.user or typed["user"],
        host_key=expected,
        known_hosts=known if pinned else "",
        unit=row.unit,
        config_path=row.config_path,
        client_addresses=row.client_addresses,
    )
    return Entry(row.line, request, next(iter(pinned), expected), bool(pinned))


def _known(text: str, address: str, port: int) -> str:
    """Return the lines of a known_hosts text that may name a machine: it is searched often."""
    if not text:
        return ""
    wanted = address.lower() if port == 22 else f"[{address.lower()}]:{port}"
    may = (wanted, "|1|", "*", "?")
    return "\n".join(
        line for line in text.splitlines() if any(part in line.lower() for part in may)
    )


def _taken(group: NodeGroup, entries: Iterable[Entry]) -> list[Mistake]:
    """Return what cannot be, as it is there already or stands in the list twice."""
    entries = list(entries)
    registered = group.nodes.values_list("name", flat=True)
    names = dict.fromkeys(registered, "is in this group already")
    servers: dict[tuple[str, int, str], Node] = {
        (node.machine.address, node.machine.ssh_port, node.unit): node
        for node in servers_at(each.request.address for each in entries)
    }
    mistakes = []
    for each in entries:
        wanted = each.request
        there = servers.get((wanted.address, wanted.ssh_port, wanted.unit))
        if there is not None:
            message = (
                f"{there.machine} serves {there.name} in {there.group} already: "
                "another server on it needs a unit of its own."
            )
            mistakes.append(Mistake(each.line, wanted.address, message))
        elif wanted.name in names:
            message = f"The name {wanted.name} {names[wanted.name]}."
            mistakes.append(Mistake(each.line, wanted.address, message))
        names.setdefault(wanted.name, f"stands in line {each.line} already")
    return mistakes
