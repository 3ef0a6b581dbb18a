"""Facts of a node: what one look at it tells. Pure; the look itself is `facts_command`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instances.nodeconf.facts_firewall import FirewallFacts, firewall_facts
from instances.nodeconf.facts_parts import (
    Address,
    DiskFree,
    ListeningPort,
    OsFacts,
    ProcessFacts,
    addresses,
    disk_free,
    listening,
    os_facts,
    processes,
    units,
)
from instances.nodeconf.facts_script import (
    FactsError,
    Sections,
    facts_command,
    facts_script,
    parse_sections,
)
from instances.nodeconf.facts_server import ConfigFileFacts, ServerFacts
from instances.nodeconf.facts_service import Program, server_facts

__all__ = [
    "Address",
    "ConfigFileFacts",
    "DiskFree",
    "FactsError",
    "FirewallFacts",
    "ListeningPort",
    "NodeFacts",
    "OsFacts",
    "ProcessFacts",
    "Program",
    "ServerFacts",
    "facts_command",
    "facts_script",
    "parse_facts",
    "program_from_json",
    "to_public_json",
]


@dataclass(frozen=True)
class NodeFacts:
    """One look at a node.

    Args:
        clock: The node's own time, seconds since 1970.
        server: The one that was asked for, or the only one.
        processes: All Redis and Valkey processes of the machine, Sentinels too.
        disk_free: By directory: /etc and /var/lib.
        selinux_enforcing: None where the kernel has no SELinux.
        tools: Programs that exist, of those that Redoubt may use.
    """

    os: OsFacts
    kernel: str
    clock: float
    server: ServerFacts
    processes: tuple[ProcessFacts, ...]
    listening: tuple[ListeningPort, ...]
    addresses: tuple[Address, ...]
    disk_free: Mapping[str, DiskFree]
    firewall: FirewallFacts
    selinux_enforcing: bool | None
    tools: frozenset[str] = field(default_factory=frozenset)

    @property
    def servers(self) -> tuple[ServerFacts, ...]:
        return (self.server,)

    @property
    def ports_listened_on(self) -> tuple[int, ...]:
        """The ports of the server's process, whatever is spoken there."""
        own = (found.port for found in self.listening if found.pid == self.server.pid)
        return tuple(dict.fromkeys(own)) if self.server.pid else ()

    def listener(self, port: int, *, but: int | None = None) -> ListeningPort | None:
        """Return who listens on the port, on any address; the process `but` is left out."""
        there = (found for found in self.listening if found.port == port)
        return next((found for found in there if but is None or found.pid != but), None)


def parse_facts(stdout: bytes, remembered: Program | None = None) -> NodeFacts:
    """Read what `facts_command` printed.

    Args:
        remembered: The program whose identity the command was given.

    Raises:
        FactsError: NoServer, SeveralServers, ConfigUnreadable, or Garbled.
    """
    sections = parse_sections(stdout)
    found, known = processes(sections), units(sections)
    return NodeFacts(
        os=os_facts(sections),
        kernel=_text(sections, "kernel"),
        clock=float(_text(sections, "clock").replace(",", ".") or 0),
        server=server_facts(sections, found, known, remembered),
        processes=found,
        listening=listening(sections),
        addresses=addresses(sections),
        disk_free=disk_free(sections),
        firewall=firewall_facts(sections, known),
        selinux_enforcing=_text(sections, "selinux") == "1"
        if ("selinux", "") in sections
        else None,
        tools=frozenset(_text(sections, "tools").split()),
    )


def _text(sections: Sections, name: str) -> str:
    return sections.get((name, ""), b"").decode(errors="replace").strip()


def to_public_json(facts: NodeFacts) -> dict[str, Any]:
    """Return what may be stored and shown: no file's content, no password, no ruleset."""
    return {
        "os": {"id": facts.os.id, "version": facts.os.version_id, "name": facts.os.pretty},
        "kernel": facts.kernel,
        "clock": facts.clock,
        "server": _public_server(facts.server),
        "processes": [
            {"pid": p.pid, "unit": p.unit, "sentinel": p.sentinel} for p in facts.processes
        ],
        "listening": [[entry.address, entry.port, entry.process] for entry in facts.listening],
        "addresses": [str(address.ip) for address in facts.addresses],
        "disk_free": {
            p: {"bytes": d.bytes, "inodes": d.inodes} for p, d in facts.disk_free.items()
        },
        "firewall": {
            "backend": facts.firewall.backend,
            "reason": facts.firewall.reason,
            "active_units": list(facts.firewall.active_units),
            "enabled_units": list(facts.firewall.enabled_units),
        },
        "selinux_enforcing": facts.selinux_enforcing,
        "tools": sorted(facts.tools),
    }


def program_from_json(facts: Mapping[str, Any]) -> Program | None:
    """Return the program that stored facts (`to_public_json`) tell of; None where they do not."""
    server = facts.get("server", {})
    if not server.get("identity") or server.get("tls_supported") is None:
        return None
    return Program(
        server["identity"],
        server["product"],
        server["version"],
        server["tls_supported"],
        server["tls_reason"],
    )


def _public_server(server: ServerFacts) -> dict[str, Any]:
    return {
        "product": server.product,
        "version": server.version_text,
        "exe": server.exe,
        "identity": server.identity,
        "outdated": server.outdated,
        "unit": server.unit,
        "user": server.unit_user,
        "group": server.unit_group,
        "active_state": server.active_state,
        "pid": server.pid,
        "sentinel": server.sentinel,
        "tls_supported": server.tls_supported,
        "tls_reason": server.tls_reason,
        "config": _public_config(server.config),
        "command_line": sorted({name for name, _ in server.command_line}),
        "problems": [f"{p.source}: {p.message}" for p in server.tree.problems],
        "port": server.port,
        "tls_port": server.tls_port,
        "bind": list(server.bind),
        "protected_mode": server.protected_mode,
        "requires_password": server.requires_password,
        "renamed_commands": sorted(server.renamed_commands),
        "unixsocket": server.unixsocket,
        "primary": list(server.primary) if server.primary else None,
    }


def _public_config(config: ConfigFileFacts) -> dict[str, Any]:
    return {
        "path": config.path,
        "target": config.target,
        "owner": config.owner,
        "group": config.group,
        "mode": f"{config.mode:04o}",
        "directory_writable": config.directory_writable,
        "includes": sorted(config.includes),
    }
