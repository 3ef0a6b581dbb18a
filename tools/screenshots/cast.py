"""Who is in the pictures, and when: one Sunday in November, told back from it."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from time_machine import Traveller

from instances.audit import Actor
from instances.models import Environment, Machine, Node, NodeGroup
from instances.secret import Secret
from instances.services import (
    NodeRequest,
    credential_create,
    environment_create,
    group_create,
    node_register,
)
from panel.models import User
from panel.seeding.nodes import Place, facts
from tools.screenshots.day import NOW, PASSWORD, USER

_LATEST = ("redis", "7.2.7")


@dataclass
class Cast:
    """Makes people, places and nodes at a time of the past.

    Args:
        clock: The process's own, which stands still.
    """

    clock: Traveller
    chance: Random = field(default_factory=lambda: Random(22))  # noqa: S311 -- the same each time
    people: dict[str, Actor] = field(default_factory=dict)
    _numbers: int = 0

    def __post_init__(self) -> None:
        with self.ago(days=402):
            for name in (USER, "grace", "linus"):
                user = User.objects.create_user(name, password=PASSWORD)
                self.people[name] = Actor(user.pk, name, f"10.20.0.{user.pk + 4}")

    @property
    def ada(self) -> Actor:
        """Return who looks at the pages."""
        return self.people[USER]

    @contextmanager
    def ago(self, **passed: float) -> Iterator[datetime]:
        """Let it be so long before the present, as `timedelta` takes it."""
        self.clock.move_to(NOW - timedelta(**passed))
        try:
            yield NOW - timedelta(**passed)
        finally:
            self.clock.move_to(NOW)

    def key(self, name: str, by: str = USER) -> None:
        """Make an SSH key: no secret at all, it comes of its name."""
        seed = hashlib.sha256(name.encode()).digest()
        private = Ed25519PrivateKey.from_private_bytes(seed)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        actor = self.people[by]
        credential_create(actor=actor, name=name, private_key=Secret(pem.decode()))

    def group(self, environment: str, name: str, nodes: int, **about: Any) -> NodeGroup:
        """Make a group, its environment where that is missing, and its nodes."""
        region = about.pop("region", "")
        actor = self.people[about.pop("by", USER)]
        within = Environment.objects.filter(name=environment).first()
        within = within or environment_create(actor=actor, name=environment, region=region)
        made = group_create(actor=actor, environment=within, name=name)
        for number in range(1, nodes + 1):
            self.node(made, f"{name}-{number}", actor, **about)
        return made

    def node(self, group: NodeGroup, name: str, by: Actor, **about: Any) -> Node:
        """Register a server; it was seen 4 minutes ago unless ``seen`` says otherwise.

        Args:
            about: ``seen`` (minutes ago, None for never), ``confirmed``, and what `_facts` takes.
        """
        self._numbers += 1
        seen, confirmed = about.pop("seen", 4), about.pop("confirmed", True)
        environment = group.environment.name.split("-")[0]
        address = f"10.20.{group.pk}.{10 + self._numbers % 90}"
        request = NodeRequest(
            address=address,
            name=name,
            user="redoubt",
            credential="production",
            client_addresses=[f"{name}.{environment}.example", address],
        )
        made = node_register(actor=by, group=group, request=request)
        machine = Machine.objects.filter(pk=made.machine_id)
        if seen is not None or not confirmed:
            at = made.created_at if confirmed else None
            machine.update(host_key=self._host_key(), host_key_confirmed_at=at)
        if seen is not None:
            at = NOW - timedelta(minutes=seen)
            seen_facts = self._facts(made, address, **about)
            Node.objects.filter(pk=made.pk).update(facts=seen_facts, facts_at=at, looked_at=at)
        made.refresh_from_db()
        return made

    def _facts(
        self,
        node: Node,
        address: str,
        *,
        server: tuple[str, str] = _LATEST,
        firewall: str = "nftables",
        password: bool = True,
    ) -> dict[str, Any]:
        machine = Machine(address=address, firewall_backend=firewall)
        found = facts(Place(node.group, node.name, self._numbers), machine, self.chance)
        product, version = server
        old = version.startswith("6.0")
        found["addresses"] = [address]
        found["os"]["name"] = f"Debian GNU/Linux {'11 (bullseye)' if old else '12 (bookworm)'}"
        found["kernel"] = "5.10.0-33-amd64" if old else "6.1.0-28-amd64"
        found["server"] |= {
            "product": product,
            "version": version,
            "exe": f"/usr/bin/{product}-server",
            "unit": f"{product}-server.service",
            "user": product,
            "config": {"path": f"/etc/{product}/{product}.conf", "includes": []},
            "requires_password": password,
            "bind": [address, "127.0.0.1"],
            "outdated": False,
        }
        return found

    def fingerprint(self) -> str:
        """Return a fingerprint as OpenSSL writes it."""
        return self.chance.randbytes(32).hex(":").upper()

    def _host_key(self) -> str:
        """Return a key in the form of RFC 8709; nobody has its private half."""
        key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + self.chance.randbytes(32)
        return f"ssh-ed25519 {base64.b64encode(key).decode()}"
