"""One made-up node: its facts, what was seen of its encryption, its certificate."""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from addons.engine.conditions import Condition, merge
from addons.health import ending, health_of
from addons.models import Certificate, Installation, NodeInstallation
from addons.pki.policy import renewal_due
from instances.models import Machine, Node, NodeGroup
from panel.seeding.content import FAULTS, FIREWALLS, SERVERS, SYSTEMS, WRONG

LIFETIME = timedelta(days=365)
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is, before it has a row.

    Args:
        number: Among all nodes; its address comes of it.
    """

    group: NodeGroup
    name: str
    number: int

    @property
    def host(self) -> str:
        """Return a name that is reserved for examples (RFC 2606)."""
        return f"{self.name}.{self.group.name}.{self.group.environment.name}.example"

    @property
    def address(self) -> str:
        """Return an address that is reserved for documentation (RFC 3849)."""
        return f"2001:db8:{self.number >> 16:x}::{self.number & 0xFFFF:x}"


def machine(place: Place, credential: int, now: datetime, chance: Random) -> Machine:
    """Return a machine; one in a hundred has a host key that nobody has compared."""
    return Machine(
        address=place.host,
        user="redoubt",
        credential_id=credential,
        host_key=_host_key(chance),
        host_key_confirmed_at=None if chance.random() < 0.01 else now - LIFETIME,
        firewall_backend=chance.choice(FIREWALLS),
    )


def node(place: Place, on: Machine, now: datetime, chance: Random) -> Node:
    """Return a node as its last look left it: most answer, some do not, some were never seen."""
    seen = now - timedelta(seconds=chance.randint(60, 86400))
    made = Node(
        group=place.group,
        machine=on,
        name=place.name,
        client_addresses=[place.host, place.address],
        created_at=place.group.created_at,
    )
    if on.host_key_confirmed_at is None or chance.random() < 0.01:
        return made
    made.facts, made.facts_at, made.looked_at = facts(place, on, chance), seen, seen
    if chance.random() < 0.02:
        reason, message, step = chance.choice(FAULTS)
        said = message.format(node=place.name, address=place.host)
        made.fault = {"reason": reason, "message": said, "next_step": step}
        made.looked_at = now - timedelta(seconds=chance.randint(1, 60))
    return made


def facts(place: Place, on: Machine, chance: Random) -> dict[str, Any]:
    """Return facts such as `instances.nodeconf.facts.to_public_json` makes them."""
    product, version = chance.choice(SERVERS)
    system, release, name, kernel = chance.choice(SYSTEMS)
    return {
        "os": {"id": system, "version": release, "name": name},
        "kernel": kernel,
        "addresses": [place.address],
        "disk_free": {"/etc": {"bytes": chance.randint(2, 90) * _GIB, "inodes": 2_000_000}},
        "firewall": {"backend": on.firewall_backend, "reason": "", "active_units": []},
        "server": {
            "product": product,
            "version": version,
            "exe": f"/usr/bin/{product}-server",
            "outdated": chance.random() < 0.02,
            "unit": f"{product}-server.service",
            "user": product,
            "tls_supported": True,
            "tls_reason": "",
            "config": {"path": f"/etc/{product}/{product}.conf", "includes": []},
            "port": 6379,
            "tls_port": 0,
            "bind": ["*"],
            "protected_mode": "yes",
            "requires_password": True,
            "renamed_commands": [],
            "problems": [],
        },
        "runtime": {
            "role": "primary" if place.name.endswith("-1") else "replica",
            "clients": chance.randint(0, 400),
            "config": {},
            "config_refused": {},
        },
    }


def certificate(of: Node, authority: int, issued: datetime, chance: Random) -> Certificate:
    """Return the record of a certificate that serves."""
    return Certificate(
        authority_id=authority,
        node=of,
        purpose="server",
        state=Certificate.State.SERVING,
        serial=f"{chance.getrandbits(152):038x}",
        subject=f"CN={of.address}"[:200],
        names=of.client_addresses,
        fingerprint=fingerprint(chance),
        key_type="ec-p256",
        not_before=issued,
        not_after=issued + LIFETIME,
        renew_at=renewal_due(issued, issued + LIFETIME),
        created_at=issued,
    )


def observed(
    of: Node, installation: Installation, served: Certificate, now: datetime, chance: Random
) -> NodeInstallation:
    """Return what was seen of encryption on a node: mostly right, some wrong, some nothing."""
    fate = chance.random()
    # A watch that runs; a few nodes it has not come to for long.
    late = chance.random() < 0.01
    at = now - timedelta(seconds=chance.randint(*((86400, 30 * 86400) if late else (5, 900))))
    row = NodeInstallation(installation=installation, node=of, baseline=_baseline())
    if fate < 0.03:
        return row
    row.observed_at, row.observed_generation = at, installation.generation
    row.observed = _seen(of, served, chance)
    row.conditions = merge([], _condition(of, fate, at, chance))
    row.health, row.not_after = health_of(row.conditions), ending(row.observed)
    return row


def _seen(of: Node, served: Certificate, chance: Random) -> dict[str, Any]:
    return {
        "fingerprint": served.fingerprint,
        "protocol": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "not_after": served.not_after.isoformat(),
        "names": list(of.client_addresses),
        "verified_from": "panel" if chance.random() < 0.9 else "node",
        "latency_ms": round(chance.uniform(0.3, 4), 1),
        "ping": "PONG",
        "plaintext": "NOAUTH",
    }


def _condition(of: Node, fate: float, at: datetime, chance: Random) -> Condition:
    status, (reason, message) = "true", ("VerifiedFromPanel", "TLSv1.3, PONG in 0.9 ms")
    if fate < 0.05:
        status, (reason, message) = "false", chance.choice(WRONG)
    elif fate < 0.06:
        status, reason = "unknown", "Stuck"
        message = "The last run neither reached its goal nor could be put back."
    return Condition("Encrypted", status, reason, message.format(node=of.name), 1, at.isoformat())


def _baseline() -> dict[str, Any]:
    return {"configuration": [{"run": 0, "state": {"directives": {"tls-port": None}}}]}


def fingerprint(chance: Random) -> str:
    """Return a fingerprint as OpenSSL writes it."""
    return chance.randbytes(32).hex(":").upper()


def _host_key(chance: Random) -> str:
    """Return a key in the form of RFC 8709; nobody has its private half."""
    key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + chance.randbytes(32)
    return f"ssh-ed25519 {base64.b64encode(key).decode()}"
