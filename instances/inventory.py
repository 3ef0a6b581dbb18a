"""Reading lists of nodes that people paste: plain lists, CSV, Ansible inventories. Pure."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from instances.inventory_ansible import ansible_hosts, looks_like_ansible

COLUMNS = (
    "address",
    "name",
    "user",
    "port",
    "host_key",
    "unit",
    "config_path",
    "client_addresses",
)
MOST = 1000
"""How many nodes one list may hold."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class Row:
    """One node of a list.

    Args:
        line: Where it stands, counted from 1.
        port: 0 where the list says none.
        groups: The Ansible groups it is in.
    """

    line: int
    address: str
    name: str = ""
    user: str = ""
    port: int = 0
    host_key: str = ""
    unit: str = ""
    config_path: str = ""
    client_addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that cannot be read, or not be meant.

    Args:
        line: Counted from 1.
        text: The line, as far as it may be shown.
        message: What is wrong and how to write it.
    """

    line: int
    text: str
    message: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a text holds. ``kind`` is ``list``, ``csv`` or ``ansible``."""

    kind: str
    rows: tuple[Row, ...]
    mistakes: tuple[Mistake, ...]


def parse_inventory(text: str) -> Inventory:
    """Read a text, whichever of the three forms it has. Nothing is raised: mistakes are listed."""
    kind = _kind(text)
    found = list({"list": _list, "csv": _csv, "ansible": _ansible}[kind](text))
    found += _doubles([each for each in found if isinstance(each, Row)])
    rows = tuple(each for each in found if isinstance(each, Row))
    mistakes = [each for each in found if isinstance(each, Mistake)]
    if len(rows) > MOST:
        mistakes.append(Mistake(rows[MOST].line, "", f"A list holds at most {MOST} nodes."))
    return Inventory(kind, rows, tuple(sorted(mistakes, key=lambda each: each.line)))


def _kind(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith(("#", ";"))), "")
    header = [cell.strip().lower() for cell in first.split(",")]
    if "address" in header and set(header) & set(COLUMNS):
        return "csv"
    return "ansible" if looks_like_ansible(lines) else "list"


def _list(text: str) -> Iterator[Row | Mistake]:
    for number, line in enumerate(text.splitlines(), 1):
        words = [word for word in _SEPARATORS.split(line.partition("#")[0]) if word]
        if not words:
            continue
        keys = [word for word in words[1:] if word.startswith("SHA256:")]
        names = [word for word in words[1:] if not word.startswith("SHA256:")]
        if len(keys) > 1 or len(names) > 1:
            yield Mistake(number, line, "Write an address, then a name and SHA256:… if you like.")
            continue
        yield _judged(Row(number, words[0], "".join(names), host_key="".join(keys)), line)


def _csv(text: str) -> Iterator[Row | Mistake]:
    # Comments before the header become empty lines, so that the numbers stay true.
    kept = ["" if line.lstrip().startswith("#") else line for line in text.splitlines()]
    reader = csv.reader(io.StringIO("\n".join(kept)), skipinitialspace=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header:
                yield _csv_row(reader.line_num, header, [cell.strip() for cell in cells])
                continue
            header = [cell.strip().lower() for cell in cells]
            unknown = [name for name in header if name not in COLUMNS]
            if unknown or len(set(header)) < len(header):
                known = ", ".join(COLUMNS)
                message = f"Its columns may be {known}, each once; not {', '.join(unknown)}."
                yield Mistake(reader.line_num, ",".join(cells), message)
                return
    except csv.Error as error:
        yield Mistake(reader.line_num, "", f"This is not CSV: {error}.")


def _csv_row(number: int, header: list[str], cells: list[str]) -> Row | Mistake:
    line = ",".join(cells)
    if len(cells) > len(header):
        message = f"It has {len(cells)} cells, the header {len(header)}: put lists into quotes."
        return Mistake(number, line, message)
    values = dict(zip(header, cells, strict=False))
    port = values.get("port", "")
    if port and not port.isdecimal():
        return Mistake(number, line, f"“{port}” is no port.")
    row = Row(
        line=number,
        address=values.get("address", ""),
        name=values.get("name", ""),
        user=values.get("user", ""),
        port=int(port or 0),
        host_key=values.get("host_key", ""),
        unit=values.get("unit", ""),
        config_path=values.get("config_path", ""),
        client_addresses=_words(values.get("client_addresses", "")),
    )
    return _judged(row, line)


def _ansible(text: str) -> Iterator[Row | Mistake]:
    for host in ansible_hosts(text):
        if host.mistake:
            yield Mistake(host.line, host.alias, host.mistake)
            continue
        said = host.variables
        address = said.get("ansible_host") or said.get("ansible_ssh_host") or host.alias
        port = said.get("ansible_port") or said.get("ansible_ssh_port") or "0"
        if not port.isdecimal():
            yield Mistake(host.line, host.alias, f"“{port}” is no port.")
            continue
        # An alias may be a name with dots; a node's name has none.
        alias = host.alias if _NAME.fullmatch(host.alias) and host.alias != address else ""
        row = Row(
            line=host.line,
            address=address,
            name=alias,
            user=said.get("ansible_user") or said.get("ansible_ssh_user") or "",
            port=int(port),
            groups=host.groups,
        )
        yield _judged(row, host.alias)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in _SEPARATORS.split(text) if word)


def _judged(row: Row, text: str) -> Row | Mistake:
    """Return the row, or what is wrong with it."""
    message = ""
    if not row.address:
        message = "The address is missing."
    elif not _is_address(row.address):
        message = f"“{row.address}” is neither a name nor an IP address."
    elif row.name and not _NAME.fullmatch(row.name):
        message = f"“{row.name}” is no name: use lower-case letters, digits and hyphens."
    elif row.port > 65535:
        message = f"{row.port} is no port."
    elif row.host_key and not _FINGERPRINT.fullmatch(row.host_key):
        message = f"“{row.host_key}” is no fingerprint: it reads SHA256: and 43 characters."
    return Mistake(row.line, text, message) if message else row


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        # Digits and dots only are an IP address that was mistyped.
        return bool(_HOST.fullmatch(text)) and not re.fullmatch(r"[\d.]+", text)
    return True


def _doubles(rows: list[Row]) -> Iterator[Mistake]:
    servers: dict[tuple[str, int, str], int] = {}
    names: dict[str, int] = {}
    for row in rows:
        server = (row.address.lower(), row.port, row.unit)
        if (first := servers.setdefault(server, row.line)) != row.line:
            yield Mistake(row.line, row.address, f"{row.address} stands in line {first} already.")
        elif row.name and (first := names.setdefault(row.name, row.line)) != row.line:
            yield Mistake(
                row.line, row.name, f"The name {row.name} stands in line {first} already."
            )
