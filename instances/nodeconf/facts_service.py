"""The parser of the server's own sections: process, unit, program, version, TLS, configuration."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from instances.nodeconf.facts_parts import ProcessFacts, Units
from instances.nodeconf.facts_script import FactsError, Sections
from instances.nodeconf.facts_server import ConfigFileFacts, Product, ServerFacts, Version

# "Redis server v=7.0.15 sha=..." and "Valkey server v=8.1.1 ..."; both `[exp]`.
_VERSION = re.compile(r"(Redis|Valkey) server v=((\d+(?:\.\d+)*)\S*)")
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_ARGV = re.compile(r"argv\[\]=(.*?) ; ")


@dataclass(frozen=True, slots=True)
class Program:
    """What was found out of a server's program, by asking it.

    Args:
        identity: See `ServerFacts.identity`.
    """

    identity: str
    product: Product
    version_text: str
    tls_supported: bool | None
    tls_reason: str

    @property
    def version(self) -> Version:
        found = _NUMBERS.match(self.version_text)
        return tuple(int(number) for number in found[0].split(".")) if found else ()


def server_facts(
    sections: Sections,
    processes: Sequence[ProcessFacts],
    units: Units,
    remembered: Program | None = None,
) -> ServerFacts:
    """Describe the chosen server.

    Args:
        remembered: What an earlier look found out of a program; used where it is still that one.

    Raises:
        FactsError: NoServer, SeveralServers, or ConfigUnreadable.
    """
    pid, unit, several = _fields(sections, "chosen", 3)
    process = next((found for found in processes if str(found.pid) == pid), None)
    properties = units.get(unit, {})
    if several:
        _several(processes)
    if process is None and properties.get("LoadState") != "loaded":
        _none(unit)
    return _server(sections, process, unit, properties, remembered)


def _program(sections: Sections, path: str, remembered: Program | None) -> Program:
    identity = _text(sections, "identity")
    asked = ("tlsprobe", "") in sections
    if remembered is not None and not asked and remembered.identity == identity:
        return remembered
    product, text = _version(_text(sections, "version"), path)
    supported, reason = _tls(_text(sections, "tlsprobe"))
    return Program(identity, product, text, supported, reason)


def _server(
    sections: Sections,
    process: ProcessFacts | None,
    unit: str,
    properties: Mapping[str, str],
    remembered: Program | None,
) -> ServerFacts:
    program, owner, directory = _fields(sections, "program", 3)
    user, group = [*owner.split(), "", ""][:2]
    known = _program(sections, program, remembered)
    start = _exec_start(properties.get("ExecStart", ""))
    return ServerFacts(
        product=known.product,
        version=known.version,
        version_text=known.version_text,
        identity=known.identity,
        exe=program,
        unit=unit,
        unit_user=properties.get("User") or user or "root",
        unit_group=properties.get("Group") or group or properties.get("User") or "root",
        unit_type=properties.get("Type", ""),
        active_state=properties.get("ActiveState", ""),
        umask=int(properties.get("UMask") or "0022", 8),
        protect_system=properties.get("ProtectSystem", ""),
        read_write_paths=tuple(properties.get("ReadWritePaths", "").split()),
        fragment_path=properties.get("FragmentPath", ""),
        drop_in_paths=tuple(properties.get("DropInPaths", "").split()),
        pid=process.pid if process else None,
        sentinel=process.sentinel if process else _starts_sentinel(start),
        outdated=bool(process and process.exe.endswith(" (deleted)")),
        tls_supported=known.tls_supported,
        tls_reason=known.tls_reason,
        config=_config(sections),
        working_directory=properties.get("WorkingDirectory", "").lstrip("-!") or directory or "/",
        exec_start=start,
    )


def _text(sections: Sections, name: str) -> str:
    return sections.get((name, ""), b"").decode(errors="replace").strip()


def _fields(sections: Sections, name: str, count: int) -> list[str]:
    lines = sections.get((name, ""), b"").decode(errors="surrogateescape").split("\n")
    return (lines + [""] * count)[:count]


def _exec_start(shown: str) -> tuple[str, ...]:
    """Read systemd's ``{ path=... ; argv[]=... ; ... }``, which joins arguments with spaces."""
    found = _ARGV.search(shown)
    return tuple(found[1].split()) if found else ()


def _starts_sentinel(argv: Sequence[str]) -> bool:
    return "--sentinel" in argv or bool(argv and argv[0].endswith("-sentinel"))


def _version(text: str, program: str) -> tuple[Product, str]:
    found = _VERSION.search(text)
    if found is None:
        return ("valkey" if "valkey" in program else "redis"), ""
    return ("valkey" if found[1] == "Valkey" else "redis"), found[2]


def _tls(said: str) -> tuple[bool | None, str]:
    """Judge what the probe of REDIS_FACTS 6 printed."""
    if "No tls-cert-file configured" in said:
        return True, "The program was built with TLS."
    if "Failed finding TLS support" in said or "Bad directive" in said:
        return False, "The program was built without TLS."
    last = said.splitlines()[-1].strip() if said else "nothing"
    return None, f"The program did not tell whether it was built with TLS; it said: {last}"


def _config(sections: Sections) -> ConfigFileFacts:
    path, target, ownership, writable, changed = _fields(sections, "configfile", 5)
    content = sections.get(("config", ""))
    if not path:
        _unreadable("The server names no configuration file, and none is where it usually lies.")
    if content is None:
        _unreadable(f"The configuration file {path} is missing or cannot be read.")
    owner, group, mode = (ownership.split() + ["root", "root", "644"][len(ownership.split()) :])[:3]
    includes = {key: value for (name, key), value in sections.items() if name == "include"}
    return ConfigFileFacts(
        path=path,
        target=target or path,
        owner=owner,
        group=group,
        mode=int(mode, 8),
        directory_writable=writable == "yes",
        content=content,
        includes=includes,
        changed=int(changed) if changed.isdecimal() else None,
    )


def _unreadable(what: str) -> NoReturn:
    raise FactsError(
        "ConfigUnreadable", f"{what} Enter the path of the file in the node's settings."
    )


def _several(processes: Sequence[ProcessFacts]) -> NoReturn:
    names = ", ".join(p.unit or f"process {p.pid} ({p.title})" for p in processes)
    raise FactsError(
        "SeveralServers",
        f"Several servers run on this machine: {names}. "
        "Enter the unit of one of them in the node's settings.",
    )


def _none(unit: str) -> NoReturn:
    what = (
        f"There is no unit {unit} on this machine."
        if unit
        else "No Redis or Valkey server runs here, and none of the usual units exists."
    )
    raise FactsError(
        "NoServer",
        f"{what} Start the server, or enter its unit in the node's settings "
        "(systemctl list-units shows it).",
    )
