"""``manage.py node add|list|refresh|topology|move|archive``."""

from argparse import ArgumentParser, Namespace
from typing import Any

from django.utils import timezone

from addons.archiving import place_archive
from addons.moving import node_move
from instances.errors import Invalid, NotFound
from instances.models import Node, NodeGroup
from instances.reason import Reason
from instances.remote.host_key import fingerprint
from instances.secret import Secret
from instances.selectors import environment_named, group_named
from instances.services import (
    NodeRequest,
    group_create,
    machine_confirm_host_key,
    node_register,
)
from instances.tasks import node_look
from panel.management.terminal import (
    FAILED,
    OK,
    NounCommand,
    Verbs,
    confirm,
    interactive,
    read_secret_file,
    read_text,
    reason_of,
    require_worker,
    table,
    terminal_actor,
)
from panel.management.topology import all_well, print_topology, topology_json
from panel.management.waiting import nodes_looked_at
from panel.pages.topology import topology_page

_UNCONFIRMED = "HostKeyUnconfirmed"
_NOT_LOOKED_AT = {
    "reason": "NotLookedAt",
    "message": "No worker has looked at the node within the time given.",
    "next_step": "Is `manage.py start` running? `manage.py node refresh` asks again.",
}


class Command(NounCommand):
    """Nodes: the Redis and Valkey servers."""

    help = "Register nodes, list them, see who follows whom, look again, move and archive them."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare add, list, refresh, topology, move and archive."""
        _add_arguments(verbs.add("add", self._add, "register a server and look at it"))
        listed = verbs.add("list", self._list, "list nodes as they were last seen")
        listed.add_argument("environment", nargs="?")
        listed.add_argument("group", nargs="?")
        listed.add_argument("--json", action="store_true")
        refresh = verbs.add("refresh", self._refresh, "look at nodes again")
        refresh.add_argument("environment")
        refresh.add_argument("group")
        refresh.add_argument("name", nargs="?", help="one node; all of the group without it")
        _waits(refresh)
        refresh.add_argument("--json", action="store_true")
        topology = verbs.add("topology", self._topology, "show who follows whom in a group")
        topology.add_argument("environment")
        topology.add_argument("group")
        topology.add_argument("--json", action="store_true")
        move = verbs.add("move", self._move, "put one into another group of its environment")
        move.add_argument("environment")
        move.add_argument("group")
        move.add_argument("name")
        move.add_argument("to", help="the other group")
        archive = verbs.add("archive", self._archive, "take one out of every list, keep its record")
        archive.add_argument("environment")
        archive.add_argument("group")
        archive.add_argument("name")

    def _add(self, options: Namespace) -> int:
        require_worker()
        request = _request(options)
        group = _group(options.environment, options.group)
        node = node_register(actor=terminal_actor(), group=group, request=request)
        node = self._look([node], options)[0]
        if node.fault.get("reason") == _UNCONFIRMED and self._confirmed(node):
            node = self._look([node], options)[0]
        return self._tell(node)

    def _look(self, nodes: list[Node], options: Namespace) -> list[Node]:
        """Have the worker look at the nodes, and return what it found."""
        for node in nodes:
            node_look.delay(node.pk)
        return nodes_looked_at(nodes, seconds=options.timeout)

    def _confirmed(self, node: Node) -> bool:
        """Show the scanned key to whoever can compare it, and pin it on their yes."""
        if not node.machine.host_key or not interactive():
            return False
        seen = fingerprint(node.machine.host_key)
        self.stderr.write(f"{node.machine} shows the host key {seen}")
        if not confirm("Is that the machine's own? `ssh-keygen -lf` on it tells."):
            return False
        machine_confirm_host_key(
            actor=terminal_actor(), machine=node.machine, fingerprint_seen=seen
        )
        return True

    def _tell(self, node: Node) -> int:
        fault = _fault(node)
        if not fault:
            self.stdout.write(f"{node}: {_found(node)}")
            return OK
        reason = reason_of(fault)
        self.stderr.write(f"{node} is registered, but it is not ready.")
        if fault["reason"] == _UNCONFIRMED and node.machine.host_key:
            seen = fingerprint(node.machine.host_key)
            step = (
                f"It shows {seen}. Compare that, then confirm it on the group's page, or run this "
                "on a terminal; or pass --host-key or --known-hosts when adding a node."
            )
            reason = Reason(reason.code, reason.message, step)
        self.complain(reason)
        return FAILED

    def _list(self, options: Namespace) -> None:
        rows = [_row(node) for node in _nodes(options.environment, options.group)]
        self._print(rows, as_json=options.json)

    def _refresh(self, options: Namespace) -> int:
        require_worker()
        nodes = _nodes_asked_for(options)
        before = {node.pk: node.looked_at for node in nodes}
        rows = []
        for node in self._look(nodes, options):
            late = node.looked_at == before[node.pk]
            rows.append(_row(node) | ({"fault": _NOT_LOOKED_AT} if late else {}))
        self._print(rows, as_json=options.json)
        return FAILED if any(row["fault"] for row in rows) else OK

    def _topology(self, options: Namespace) -> int:
        now = timezone.now()
        page = topology_page(group_named(options.environment, options.group), now)
        if options.json:
            self.print_json(topology_json(page))
        else:
            print_topology(self.console, page, now)
        return OK if all_well(page) else FAILED

    def _move(self, options: Namespace) -> None:
        group = group_named(options.environment, options.to)
        for node in _nodes_asked_for(options):
            node_move(actor=terminal_actor(), node=node, group=group)
            self.stdout.write(f"{node} is in {group} now.")

    def _archive(self, options: Namespace) -> None:
        for node in _nodes_asked_for(options):
            place_archive(actor=terminal_actor(), place=node, now=timezone.now())
            self.stdout.write(f"{node} is archived. A page restores it.")

    def _print(self, rows: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.print_json(rows)
            return
        lines = [
            (
                row["environment"],
                row["group"],
                row["name"],
                row["address"],
                row["server"],
                _state(row),
            )
            for row in rows
        ]
        self.console.print(
            table("ENVIRONMENT", "GROUP", "NAME", "ADDRESS", "SERVER", "STATE", rows=lines)
        )


def _add_arguments(add: ArgumentParser) -> None:
    add.add_argument("environment")
    add.add_argument("group", help="made if there is none of that name")
    add.add_argument("address", help="where the panel reaches it by SSH")
    add.add_argument("--name", default="", help="the address with hyphens without it")
    key = add.add_mutually_exclusive_group()
    key.add_argument("--host-key", default="", metavar="FINGERPRINT", help="SHA256:...")
    key.add_argument("--known-hosts", metavar="FILE", help="take the host key from FILE")
    add.add_argument("--user", default="root", help="root, or one who may sudo")
    add.add_argument("--port", type=int, default=22, help="of SSH")
    add.add_argument("--credential", default="", metavar="NAME")
    add.add_argument("--unit", default="", help="where several servers share the machine")
    add.add_argument("--config-path", default="", metavar="PATH")
    add.add_argument(
        "--client-address",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a name or address that clients use; may be given again",
    )
    add.add_argument("--server-user", default="", help="an ACL user of the Redis server")
    add.add_argument("--server-password-file", metavar="FILE", help="its password, on line one")
    _waits(add)


def _waits(parser: ArgumentParser) -> None:
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS")


def _request(options: Namespace) -> NodeRequest:
    password = ""
    if options.server_password_file:
        password = read_secret_file(options.server_password_file, "server_password")
    known = read_text(options.known_hosts, "known_hosts") if options.known_hosts else ""
    if options.host_key and not options.host_key.startswith("SHA256:"):
        raise Invalid(
            "host_key",
            f"“{options.host_key}” is no fingerprint of a host key.",
            "It begins with SHA256:, as `ssh-keygen -lf` prints it on the machine.",
        )
    return NodeRequest(
        address=options.address,
        name=options.name,
        ssh_port=options.port,
        user=options.user,
        credential=options.credential,
        host_key=options.host_key,
        known_hosts=known,
        unit=options.unit,
        config_path=options.config_path,
        client_addresses=options.client_address,
        server_username=options.server_user,
        server_password=Secret(password),
    )


def _group(environment: str, name: str) -> NodeGroup:
    found = environment_named(environment)
    group = found.groups.filter(name=name).first()
    return group or group_create(actor=terminal_actor(), environment=found, name=name)


def _nodes(environment: str | None, group: str | None, name: str | None = None) -> list[Node]:
    nodes = Node.objects.select_related("machine", "group__environment").order_by(
        "group__environment__name", "group__name", "name"
    )
    if environment and group:
        nodes = nodes.filter(group=group_named(environment, group))
    elif environment:
        nodes = nodes.filter(group__environment=environment_named(environment))
    return list(nodes.filter(name=name) if name else nodes)


def _nodes_asked_for(options: Namespace) -> list[Node]:
    """Return the nodes of a group, or the named one.

    Raises:
        NotFound: There is none.
    """
    found = _nodes(options.environment, options.group, options.name)
    if not found:
        raise NotFound(
            Reason(
                "NoNode",
                f"{options.environment} / {options.group} has no such node.",
                f"`manage.py node list {options.environment}` shows those there are.",
            )
        )
    return found


def _fault(node: Node) -> dict[str, str]:
    if node.looked_at is None:
        return _NOT_LOOKED_AT
    return dict(node.fault)


def _row(node: Node) -> dict[str, Any]:
    return {
        "environment": node.group.environment.name,
        "group": node.group.name,
        "name": node.name,
        "address": str(node.machine),
        "user": node.machine.user,
        "client_addresses": node.client_addresses,
        "server": _server(node),
        "facts": node.facts,
        "facts_at": node.facts_at and node.facts_at.isoformat(),
        "looked_at": node.looked_at and node.looked_at.isoformat(),
        "fault": node.fault,
    }


def _state(row: dict[str, Any]) -> str:
    if row["fault"]:
        return str(row["fault"]["message"])
    return f"seen {row['looked_at'][:19]}" if row["looked_at"] else "never looked at"


def _server(node: Node) -> str:
    server = node.facts.get("server", {})
    return f"{server.get('product', '')} {server.get('version', '')}".strip()


def _found(node: Node) -> str:
    """Return in one line what the look found."""
    facts = node.facts
    server, system = facts.get("server", {}), facts.get("os", {})
    parts = [
        _server(node) or "a server",
        f"on {system['name']}" if system.get("name") else "",
        f"unit {server['unit']}" if server.get("unit") else "",
        f"config {server['config']['path']}" if server.get("config") else "",
        f"firewall {facts['firewall']['backend']}" if facts.get("firewall") else "",
        "" if server.get("tls_supported", True) else "built without TLS",
    ]
    return ", ".join(part for part in parts if part)
