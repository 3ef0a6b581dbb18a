"""What the encryption add-on says, taken from runs on the lab's nodes."""

from collections.abc import Mapping, Sequence
from typing import Any

from instances.models import Node

SPEC: Mapping[str, Any] = {
    "tls_port": 6380,
    "tls_auth_clients": "optional",
    "bind": "keep",
    "protected_mode": "keep",
    "apply": "live",
    "networks": ["10.20.0.0/16"],
    "lifetime_days": 365,
    "key_type": "ec-p256",
    "directory": "",
    "adopt": "no",
}
_FILES = ("server/server.crt", "server/server.key", "server/root.crt")
_CLIENT = ("client/client.crt", "client/client.key", "client/root.crt")
_DIRECTIVES = (
    "tls-cert-file /etc/redis/tls/server/server.crt",
    "tls-key-file /etc/redis/tls/server/server.key",
    "tls-ca-cert-file /etc/redis/tls/server/root.crt",
    "tls-auth-clients optional",
    "tls-port 6380",
)


def preview(node: Node, *, restart: bool = False, warned: bool = False) -> dict[str, Any]:
    """Return the preview of an install on one node."""
    names = ", ".join(node.client_addresses)
    rule = 'ip saddr 10.20.0.0/16 tcp dport 6380 accept comment "redoubt:encryption"'
    changes = [
        _change(
            "certificate",
            f"6 files are new: a certificate for {names}, 365 days.",
            _added("/etc/redis/tls", (*_FILES, *_CLIENT)),
        ),
        _change(
            "firewall",
            "2 firewall rules change.",
            _added(
                "nftables",
                (f"inet filter input: {rule}", f"/etc/nftables.conf: inet filter input: {rule}"),
            ),
        ),
        _change("runtime", "Applied live: no restart, no interruption.", _live()),
        _change("configuration", "/etc/redis/redis.conf: 5 lines added.", _file()),
    ]
    if restart:
        text = "The server restarts once; clients come back after about 0.6 s."
        changes = [changes[0], changes[1], changes[3], _change("restart", text, _live(), 600)]
    return {"changes": changes, "warnings": [_warning(node)] if warned else []}


def preview_back(node: Node) -> dict[str, Any]:
    """Return the preview of an uninstall from one node."""
    lines = [_line("del", text) for text in _DIRECTIVES]
    closed = [_line("del", "tls-port 6380"), _line("add", "tls-port 0")]
    ends = {
        "code": "ClientsOnTls",
        "message": f"{node.name}: 38 connections on TLS now; they end.",
        "next_step": "Point these clients at the plain port first.",
    }
    path = _line("hunk", "@@ /etc/redis/redis.conf @@")
    return {
        "changes": [
            _change("runtime", "Applied live: no restart, no interruption.", closed),
            _change("configuration", "/etc/redis/redis.conf: 5 lines removed.", [path, *lines]),
            _change(
                "firewall",
                "1 firewall rule changes.",
                [
                    _line("hunk", "@@ nftables @@"),
                    _line("del", "inet filter input: ip saddr 10.20.0.0/16 tcp dport 6380 accept"),
                ],
            ),
        ],
        "warnings": [ends],
    }


def installed(fingerprint: str, authority: str, clients: int) -> Sequence[tuple[str, str, str]]:
    """Return step, kind and sentence of an install on one node that went well."""
    short = f"{fingerprint[:5]}:…:{fingerprint[-2:]}"
    listening = "CONFIG SET accepted, TLS listening on 6380"
    return (
        ("certificate", "applied", f"certificate {short} written, readable by the server only"),
        ("firewall", "applied", "nftables: 2 added"),
        ("runtime", "applied", f"{listening}, {clients} connections kept"),
        ("configuration", "applied", "/etc/redis/redis.conf: 5 lines added"),
        (
            "verify",
            "verified",
            f"verified from the panel: TLSv1.3, chain to “{authority}”, PONG in 0.9 ms",
        ),
        ("verify", "verified", "the plain port answers as before (NOAUTH)"),
    )


PUT_BACK = (
    ("configuration", "undone", "/etc/redis/redis.conf is as it was"),
    ("runtime", "undone", "tls-port is 0 again, 41 connections kept"),
    ("firewall", "undone", "nftables: 2 removed"),
    ("certificate", "undone", "6 files removed, /etc/redis/tls is gone"),
    ("verify", "verified", "verified: TLS is off, the plain port answers as before (NOAUTH)"),
)
"""Step, kind and sentence of a put-back, the last change first."""


def _change(
    step: str, says: str, lines: Sequence[dict[str, str]], interrupts: int = 0
) -> dict[str, Any]:
    return {"step": step, "says": says, "lines": list(lines), "interrupts": interrupts, "delays": 0}


def _line(kind: str, text: str) -> dict[str, str]:
    return {"kind": kind, "text": text}


def _added(where: str, what: Sequence[str]) -> list[dict[str, str]]:
    return [_line("hunk", f"@@ {where} @@"), *(_line("add", each) for each in what)]


def _live() -> list[dict[str, str]]:
    return [
        _line("del", "tls-port 0"),
        _line("add", "tls-port 6380"),
        _line("context", "tls-cert-file /etc/redis/tls/server/server.crt"),
    ]


def _file() -> list[dict[str, str]]:
    return [
        _line("hunk", "@@ /etc/redis/redis.conf @@"),
        _line("context", "requirepass ••••"),
        _line("context", "appendonly yes"),
        *(_line("add", each) for each in _DIRECTIVES),
    ]


def _warning(node: Node) -> dict[str, str]:
    return {
        "code": "Open",
        "message": f"{node.name}: who reaches the TLS port needs neither password nor certificate.",
        "next_step": "Set a password on the server, or ask for client certificates.",
    }
