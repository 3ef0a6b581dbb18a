"""How clients reach the servers of a group: addresses, ports, and the lines for a terminal."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from addons.encryption.layout import DEFAULT_DIRECTORY
from addons.models import Installation, NodeInstallation
from instances.models import Node
from panel.pages.state import UNKNOWN, Shown, row_shown

AUTHORITY_FILE = "root.crt"
PASSWORD_LINE = "export REDISCLI_AUTH='…'"  # noqa: S105 -- a placeholder for a person's own
_CLIENT_CERTIFICATE = ("--cert", "client.crt", "--key", "client.key")


@dataclass(frozen=True, slots=True)
class Way:
    """The way to one node.

    Args:
        role: ``primary`` or ``replica``; empty where it was not seen.
        plain_port: 0 where there is none, None where it is unknown.
        tls_port: None where the add-on is not on here.
        shown: What was last seen of its encryption; None where the add-on is not on.
        command: The line for a terminal; empty where no port is known.
    """

    node: Node
    role: str
    plain_port: int | None
    tls_port: int | None
    shown: Shown | None
    command: str


@dataclass(frozen=True, slots=True)
class ConnectPage:
    """The ways into a group.

    Args:
        encrypted: Whether the encryption add-on is on.
        client_certificate: Whether clients have to present a certificate.
        directory: Of the certificates on the nodes.
        password: Whether a server asks for one, or may: not each was seen.
        ways: One a node, a primary first.
    """

    encrypted: bool
    client_certificate: bool
    directory: str
    password: bool
    ways: Sequence[Way]

    @property
    def lines(self) -> str:
        """Return what to paste into a terminal for the first node; empty where none is known."""
        command = next((way.command for way in self.ways if way.command), "")
        return f"{PASSWORD_LINE}\n{command}" if command and self.password else command


def connect_page(
    nodes: Iterable[Node], installation: Installation | None, rows: Iterable[NodeInstallation]
) -> ConnectPage:
    """Collect the page.

    Args:
        nodes: With their facts.
        installation: Of the encryption add-on; None where it never was.
        rows: What is installed on the nodes.
    """
    on = installation is not None and installation.generation > 0
    spec: Mapping[str, Any] = installation.spec if installation and on else {}
    seen = {row.node_id: row for row in rows}
    certificate = spec.get("tls_auth_clients") == "required"
    nodes = list(nodes)
    ways = [_way(node, spec, seen.get(node.pk)) for node in nodes]
    return ConnectPage(
        encrypted=on,
        client_certificate=certificate,
        directory=str(spec.get("directory") or _usual_directory(nodes)),
        password=any(_server(node).get("requires_password") is not False for node in nodes),
        ways=sorted(ways, key=lambda way: way.role != "primary"),
    )


def _usual_directory(nodes: Sequence[Node]) -> str:
    product = str(_server(nodes[0]).get("product", "")) if nodes else ""
    return DEFAULT_DIRECTORY.get(product, DEFAULT_DIRECTORY["redis"])


def _way(node: Node, spec: Mapping[str, Any], row: NodeInstallation | None) -> Way:
    port = _server(node).get("port")
    plain = port if isinstance(port, int) else None
    tls = int(spec["tls_port"]) if spec and row else None
    if node.is_sentinel:
        # Its port is its own; the group's settings are about servers.
        tls = _server(node).get("tls_port") or None
        plain = None if tls else plain
    runtime = node.facts.get("runtime") or {}
    certificate = spec.get("tls_auth_clients") == "required"
    shown = row_shown(row, row.installation) if row else Shown(UNKNOWN, "Not installed here")
    return Way(
        node=node,
        role="Sentinel" if node.is_sentinel else str(runtime.get("role", "")),
        plain_port=plain,
        tls_port=tls,
        shown=shown if spec else None,
        command=redis_cli(node.address, tls or plain, tls=tls is not None, certificate=certificate),
    )


def _server(node: Node) -> Mapping[str, Any]:
    server = node.facts.get("server")
    return server if isinstance(server, dict) else {}


def redis_cli(address: str, port: int | None, *, tls: bool, certificate: bool) -> str:
    """Return the line that opens a server; empty where its port is unknown or closed.

    A password is not among its words: redis-cli takes it from REDISCLI_AUTH, as what stands on a
    command line is seen by everybody on the machine.
    """
    if not port:
        return ""
    words = ["redis-cli", "-h", address, "-p", str(port)]
    if tls:
        words += ["--tls", "--cacert", AUTHORITY_FILE]
        words += _CLIENT_CERTIFICATE if certificate else ()
    return shlex.join(words)
