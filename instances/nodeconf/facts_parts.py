"""Parsers of the single sections: operating system, processes, units, sockets, addresses, disk."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from instances.nodeconf.facts_script import Sections

Units = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class OsFacts:
    """From /etc/os-release (os-release(5))."""

    id: str
    version_id: str
    pretty: str


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """A Redis or Valkey process; ``exe`` is resolved, and ends in ``(deleted)`` where it is."""

    pid: int
    unit: str
    sentinel: bool
    exe: str
    title: str


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """A listening TCP socket; ``process`` is empty where the kernel named none."""

    address: str
    port: int
    process: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class Address:
    """A global address of the node."""

    interface: str
    ip: str
    prefix: int


@dataclass(frozen=True, slots=True)
class DiskFree:
    """What is left for root; some file systems (btrfs) count no inodes: None."""

    bytes: int
    inodes: int | None


def _lines(sections: Sections, name: str, key: str = "") -> list[str]:
    return sections.get((name, key), b"").decode(errors="replace").splitlines()


def os_facts(sections: Sections) -> OsFacts:
    """Read os-release, which quotes as a shell does."""
    values: dict[str, str] = {}
    for line in _lines(sections, "os"):
        name, separator, value = line.partition("=")
        if separator and not name.startswith("#"):
            values[name] = _unquoted(value)
    pretty = values.get("PRETTY_NAME", "")
    return OsFacts(values.get("ID", ""), values.get("VERSION_ID", ""), pretty)


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value


def processes(sections: Sections) -> tuple[ProcessFacts, ...]:
    """Read the processes, without children that save a snapshot under the same name."""
    keys = [key for name, key in sections if name == "process"]
    found: list[ProcessFacts] = []
    for key in keys:
        kind, unit, exe, title, parent, *_ = [*_lines(sections, "process", key), *[""] * 5]
        if parent not in keys:
            found.append(ProcessFacts(int(key), unit, kind == "sentinel", exe, title))
    return tuple(found)


def units(sections: Sections) -> dict[str, dict[str, str]]:
    """Read ``systemctl show``: properties by unit, under each of the unit's names."""
    found: dict[str, dict[str, str]] = {}
    for block in "\n".join(_lines(sections, "units")).split("\n\n"):
        properties: dict[str, str] = {}
        for line in block.splitlines():
            name, _, value = line.partition("=")
            properties.setdefault(name, value)
        for name in properties.get("Names", properties.get("Id", "")).split():
            found[name] = properties
    return found


_SOCKET = re.compile(r"\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+(?:\s+users:\(\(\"(.*?)\",pid=(\d+))?")


def listening(sections: Sections) -> tuple[ListeningPort, ...]:
    """Read ``ss -ltnpH``."""
    found = (_SOCKET.match(line) for line in _lines(sections, "listening"))
    return tuple(
        ListeningPort(m[1].strip("[]"), int(m[2]), m[3] or "", int(m[4]) if m[4] else None)
        for m in found
        if m
    )


def addresses(sections: Sections) -> tuple[Address, ...]:
    """Read ``ip -o addr``, global scope only."""
    return tuple(_addresses(sections))


def _addresses(sections: Sections) -> Iterator[Address]:
    for line in _lines(sections, "addresses"):
        words = line.split()
        if len(words) < 4 or words[2] not in {"inet", "inet6"} or " scope global" not in line:
            continue
        address: IPv4Interface | IPv6Interface = ip_interface(words[3])
        yield Address(words[1], str(address.ip), address.network.prefixlen)


def disk_free(sections: Sections) -> dict[str, DiskFree]:
    """Read ``stat -f -c '%n %a %S %d'``: path, free blocks, block size, free inodes."""
    found: dict[str, DiskFree] = {}
    for line in _lines(sections, "disk"):
        path, blocks, size, inodes = line.rsplit(None, 3)
        found[path] = DiskFree(int(blocks) * int(size), int(inodes) or None)
    return found
