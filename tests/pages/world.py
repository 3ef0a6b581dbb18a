"""A small fleet in every state that pages must show."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from addons.archiving import place_archive
from addons.clients.handout import ClientRequest, Form, Handout
from addons.clients.issue import client_certificate_downloaded, client_certificate_issue
from addons.encryption.plaintext import PlainConnection, PlainSample
from addons.encryption.remembering import sample_remember
from addons.health import health_of
from addons.models import (
    Authority,
    Certificate,
    EnvironmentAuthority,
    Installation,
    NodeInstallation,
    Run,
    RunNode,
    StepRecord,
)
from addons.pki.authority import create_authority
from addons.pki.keys import KeyType
from addons.pki.policy import renewal_due
from addons.pki.serial import new_serial
from instances.audit import Actor
from instances.models import Credential, Environment, Machine, Node, NodeGroup
from instances.nodeconf.client_list import Kind, Place
from instances.nodeconf.facts_parts import Address
from instances.nodeconf.topology.seen import Seen
from instances.secret import Secret
from instances.services import (
    NodeRequest,
    credential_create,
    environment_create,
    group_create,
    node_register,
)
from instances.topology import topology_store
from tests.topology.recorded import CLUSTER, REPLICATION, SENTINELS, address, said, stock

PASSWORD = "the-redis-password-that-no-page-shows"
PASSPHRASE = "the-pass-phrase-that-no-page-shows"
BEFORE = "the-before-state-that-no-page-shows"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Hn6m3wz5bJ0QvEovvqNqk2b1mRkqfZ8cM2n9n3n3n"
BUNDLE = UUID("6f1c2a58-6d1e-4d5b-9d0c-3c2f8f4f9a10")
SPEC = {"tls_port": 6380, "networks": ["10.0.0.0/8"]}
FACTS = {
    "os": {"name": "Debian GNU/Linux 12 (bookworm)"},
    "server": {"product": "redis", "version": "7.0.15", "port": 6379, "tls_supported": True},
    "runtime": {"role": "primary", "clients": 41},
    "firewall": {"backend": "nftables"},
}


def condition(status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": "Encrypted",
        "status": status,
        "reason": reason,
        "message": message,
        "generation": 1,
        "since": timezone.now().isoformat(),
    }


VERIFIED = condition("true", "VerifiedFromPanel", "TLSv1.3, PONG in 0.9 ms")
WRONG = condition("false", "ChainInvalid", "The served certificate is from somebody else.")

DRIFTED = condition("false", "Drift", "cache-1: /etc/redis/redis.conf is not as wanted.") | {
    "type": "AsWanted"
}
DRIFT = [
    {
        "step": "configuration",
        "place": "/etc/redis/redis.conf",
        "lines": [
            {"kind": "hunk", "text": "@@ -1,2 +1,2 @@ /etc/redis/redis.conf"},
            {"kind": "del", "text": "tls-port 6390"},
            {"kind": "add", "text": "tls-port 6380"},
            {"kind": "context", "text": "requirepass ••••"},
        ],
    }
]

PREVIEW = {
    "changes": [
        {
            "step": "certificate",
            "says": "Issue a certificate and write it.",
            "lines": [{"kind": "add", "text": "server/server.crt"}],
            "interrupts": 0,
            "delays": 0,
        },
        {
            "step": "configuration",
            "says": "Write redis.conf.",
            "lines": [
                {"kind": "hunk", "text": "@@ /etc/redis/redis.conf @@"},
                {"kind": "del", "text": "tls-port 0"},
                {"kind": "add", "text": "tls-port 6380"},
                {"kind": "context", "text": "requirepass ••••"},
            ],
            "interrupts": 0,
            "delays": 0,
        },
    ],
    "warnings": [
        {"code": "Exposed", "message": "The plain port is open.", "next_step": "Close it."}
    ],
}


@dataclass
class World:
    """Builds rows.

    Args:
        actor: Who does it all.
    """

    actor: Actor
    credential: Credential = field(init=False)

    def __post_init__(self) -> None:
        self.credential = credential_create(actor=self.actor, name="default")

    def group(self, environment: str, name: str, nodes: int = 2) -> NodeGroup:
        within = Environment.objects.filter(name=environment).first() or environment_create(
            actor=self.actor, name=environment, region="eu-west"
        )
        group = group_create(actor=self.actor, environment=within, name=name)
        for number in range(1, nodes + 1):
            self.node(group, f"{name}-{number}")
        return group

    def node(self, group: NodeGroup, name: str, *, seen: bool = True) -> Node:
        node = node_register(
            actor=self.actor,
            group=group,
            request=NodeRequest(
                address=f"{name}.{group.environment.name}.example",
                name=name,
                credential="default",
                server_password=Secret(PASSWORD),
            ),
        )
        if seen:
            now = timezone.now()
            Machine.objects.filter(pk=node.machine_id).update(
                host_key=HOST_KEY, host_key_confirmed_at=now
            )
            Node.objects.filter(pk=node.pk).update(facts=FACTS, facts_at=now, looked_at=now)
            node.refresh_from_db()
        return node

    def installed(self, group: NodeGroup, *conditions: dict[str, Any] | None) -> Installation:
        """Install on a group; each node gets its condition in turn, None was never observed."""
        installation, _ = Installation.objects.update_or_create(
            group=group, addon="encryption", defaults={"spec": SPEC, "generation": 1}
        )
        for node, each in zip(group.nodes.order_by("name"), conditions, strict=False):
            NodeInstallation.objects.create(
                installation=installation,
                node=node,
                observed_generation=1,
                observed={
                    "fingerprint": "9C:41:" + "AB:" * 29 + "7E",
                    "protocol": "TLSv1.3",
                    "not_after": (timezone.now() + timedelta(days=364, hours=1)).isoformat(),
                    "verified_from": "panel",
                    "plaintext": "plaintext-open",
                }
                if each
                else {},
                observed_at=timezone.now() if each else None,
                conditions=[each] if each else [],
                health=health_of([each] if each else []),
                not_after=timezone.now() + timedelta(days=364, hours=1) if each else None,
                baseline={"configuration": [{"run": 1, "state": {"line": BEFORE}}]},
            )
        return installation

    def drifted(self, installation: Installation) -> NodeInstallation:
        """Let the first node of a group be other than wanted: its file names another port."""
        row = installation.nodes.order_by("node__name")[0]
        row.conditions = [DRIFTED, *row.conditions]
        row.health, row.drift = health_of(row.conditions), DRIFT
        row.save()
        return row

    def sampled(self, group: NodeGroup, *addresses: str, hours_ago: float = 0, **told: Any) -> None:
        """Sample the plain port of each node: a connection from each of the addresses."""
        connections = tuple(
            PlainConnection(Place(address, 4000), Place("10.0.0.9", 6379), **({"age": 90} | told))
            for address in addresses
        )
        at = timezone.now() - timedelta(hours=hours_ago)
        for node in group.nodes.all():
            sample_remember(node=node, sample=PlainSample(6379, connections), now=at)

    def told(
        self, group: NodeGroup, version: str, state: str, ports: tuple[int, ...]
    ) -> list[Node]:
        """Let each node of a group be a real server that was recorded (tests/topology)."""
        nodes = list(group.nodes.order_by("name"))
        for node, port in zip(nodes, ports, strict=True):
            self.tells(node, said(version, state, port), address(version))
        return nodes

    def tells(self, node: Node, seen: Seen | None, host: str = "") -> None:
        """Store what a node says; None where its server does not answer."""
        now = timezone.now()
        facts = stock()
        if host:
            facts = replace(facts, addresses=(Address("eth0", host, 24),))
        Node.objects.filter(pk=node.pk).update(looked_at=now)
        topology_store(node=node, facts=facts, seen=seen, now=now)

    def run(self, group: NodeGroup, state: Run.State, **more: Any) -> Run:
        installation, _ = Installation.objects.get_or_create(group=group, addon="encryption")
        run = Run.objects.create(
            installation=installation,
            action=more.pop("action", "install"),
            spec=SPEC,
            state=state,
            actor_name=self.actor.name,
            **more,
        )
        for position, node in enumerate(group.nodes.order_by("name")):
            preview = {} if state == Run.State.PREVIEWING else PREVIEW
            RunNode.objects.create(run=run, node=node, position=position, preview=preview)
        return run

    def authority(self, environment: Environment, days: float = 3650) -> Authority:
        """Make an authority that an environment issues from; it ends in so many days."""
        now = timezone.now()
        pem, key = create_authority(
            name=environment.name, key_type=KeyType.EC_P256, now=now, serial=new_serial()
        )
        authority = Authority.objects.create(
            name=f"{environment.name} authority",
            certificate=pem,
            private_key=key,
            key_type="ec-p256",
            fingerprint="AA:" + "0C:" * 30 + "01",
            not_before=now,
            not_after=now + timedelta(days=days),
        )
        EnvironmentAuthority.objects.create(environment=environment, authority=authority)
        return authority

    def certificate(
        self, authority: Authority, node: Node, days: float, **more: Any
    ) -> Certificate:
        """Give a node a certificate in force that ends in so many days."""
        number = Certificate.objects.count() + 1
        now = timezone.now()
        values: dict[str, Any] = {
            "purpose": "server",
            "state": Certificate.State.SERVING,
            "serial": f"{number:040x}",
            "subject": f"CN={node.name}",
            "fingerprint": "BB:" * 30 + f"{number // 256:02X}:{number % 256:02X}",
            "not_before": now,
            "not_after": now + timedelta(days=days),
        }
        values |= more
        values.setdefault("renew_at", renewal_due(values["not_before"], values["not_after"]))
        return Certificate.objects.create(authority=authority, node=node, **values)

    def client_certificate(self, environment: Environment, holder: str, **asked: Any) -> Handout:
        """Issue a certificate to a client, as if it had been downloaded."""
        handout = client_certificate_issue(
            actor=self.actor,
            environment=environment,
            request=ClientRequest(holder, **asked),
            now=timezone.now(),
        )
        client_certificate_downloaded(
            actor=self.actor, certificate=handout.certificate, now=timezone.now()
        )
        return handout

    def record(self, run: Run, node: Node, step: str, kind: str, says: str = "") -> StepRecord:
        return StepRecord.objects.create(
            run=run,
            node=node,
            attempt=1,
            step=step,
            kind=kind,
            at=timezone.now(),
            says=says,
            state={"line": BEFORE} if kind == "before" else {},
        )

    def bundles(self, cache: NodeGroup, queue: NodeGroup) -> dict[str, str]:
        """Make two runs of one click in each phase and return the addresses of their pages."""
        State = Run.State  # noqa: N806
        phases = {
            "looking": (State.PREVIEWING, State.PREVIEWED),
            "ready": (State.PREVIEWED, State.REFUSED),
            "refused": (State.REFUSED, State.REFUSED),
            "discarded": (State.DISCARDED, State.DISCARDED),
            "running": (State.RUNNING, State.QUEUED),
            "half": (State.SUCCEEDED, State.PUT_BACK),
            "stuck": (State.STUCK, State.PREVIEWED),
        }
        failure = {"node": "queue-1", "step": "verify", "reason": "No", "message": "it failed"}
        pages = {}
        for phase, states in phases.items():
            bundle = uuid4()
            for group, state in zip((cache, queue), states, strict=True):
                begun = state in {State.RUNNING, State.SUCCEEDED, State.PUT_BACK, State.STUCK}
                bad = state in {State.REFUSED, State.PUT_BACK, State.STUCK}
                run = self.run(
                    group,
                    state,
                    bundle=bundle,
                    started_at=timezone.now() if begun else None,
                    failure=failure if bad else {},
                )
                if begun:
                    node = group.nodes.order_by("name")[0]
                    self.record(run, node, "certificate", "applied", "it is written")
            pages[f"bundle {phase}"] = f"/runs/together/{bundle}/"
        return pages

    def everything(self) -> dict[str, str]:
        """Make one of each state and return the addresses of all pages, by name."""
        cache = self.group("shop", "cache")
        self.drifted(self.installed(cache, VERIFIED, WRONG))
        self.sampled(cache, "10.0.0.1", "2001:db8::7", name="web", user="shop", hours_ago=1)
        self.sampled(cache, "10.0.0.1", "127.0.0.1", kind=Kind.PUBSUB)
        done = self.run(cache, Run.State.SUCCEEDED, started_at=timezone.now())
        queue = self.group("shop", "queue")
        asking = self.node(queue, "queue-9", seen=False)
        Machine.objects.filter(pk=asking.machine_id).update(host_key=HOST_KEY)
        broken = self.node(queue, "queue-8")
        fault = {"reason": "SudoRefused", "message": "sudo asks for a password", "next_step": "Go."}
        Node.objects.filter(pk=broken.pk).update(fault=fault)
        fresh = self.node(queue, "queue-7", seen=False)
        failure = {"node": "queue-1", "step": "verify", "reason": "No", "message": "it failed"}
        runs = {"done": done} | {
            state.value: self.run(queue, state, failure=failure if state == "stuck" else {})
            for state in Run.State
        }
        first = queue.nodes.get(name="queue-1")
        for run in runs.values():
            self.record(run, first, "certificate", "before")
            self.record(run, first, "certificate", "applied", "the certificate is written")
            self.record(run, first, "verify", "failed", "it failed")
        runs["uninstalling"] = self.run(cache, Run.State.PREVIEWED, action="uninstall")
        pages = {f"run {name}": run.get_absolute_url() for name, run in runs.items()}
        authority = self.authority(cache.environment, days=200)
        for days, node in zip((-2, 5), cache.nodes.order_by("name"), strict=True):
            self.certificate(authority, node, days)
            self.certificate(authority, node, 100, purpose="client")
        clients = {
            form: self.client_certificate(
                cache.environment, f"app-{form}", form=form, passphrase=Secret(PASSPHRASE)
            ).certificate
            for form in (Form.ZIP, Form.PKCS12, Form.PEM)
        }
        Certificate.objects.filter(pk=clients[Form.PEM].pk).update(downloaded_at=None)
        watched = self.group("ties", "orders", nodes=6)
        self.told(watched, "redis-7.0", "killed", (*REPLICATION, *SENTINELS))
        cluster = self.group("ties", "catalogue", nodes=5)
        self.told(cluster, "valkey-8.1", "tls", CLUSTER[1:])
        self.told(self.group("ties", "alone", nodes=1), "redis-8.0", "plain", (9001,))
        self.told(self.group("ties", "parted"), "redis-7.0", "plain", (7001, 7001))
        old = self.group("old", "cache", nodes=1)
        place_archive(actor=self.actor, place=old.environment, now=timezone.now())
        nodes = {"seen": first, "asking": asking, "broken": broken, "fresh": fresh}
        pages |= self.bundles(cache, queue)
        pages |= {
            f"client {form}": f"/environments/shop/-/certificates/{each.pk}/"
            for form, each in clients.items()
        }
        pages |= {f"node {name}": f"/nodes/{node.pk}/" for name, node in nodes.items()}
        pages |= {
            "node edit": f"/nodes/{first.pk}/edit/",
            "node host key": f"/nodes/{first.pk}/host-key/forget/",
        }
        return pages | {
            "dashboard": "/",
            "environments": "/environments/",
            "environment add": "/environments/-/add/",
            "environment": "/environments/shop/",
            "group add": "/environments/shop/-/add/",
            "group": "/environments/shop/queue/",
            "installed": "/environments/shop/cache/addons/",
            "not installed": "/environments/shop/queue/addons/",
            "connect encrypted": "/environments/shop/cache/connect/",
            "connect plain": "/environments/shop/queue/connect/",
            "group runs": "/environments/shop/queue/runs/",
            "plaintext": "/environments/shop/cache/plaintext/",
            "plaintext nothing": "/environments/shop/cache/plaintext/?q=nowhere",
            "plaintext not installed": "/environments/shop/queue/plaintext/",
            "topology": "/environments/shop/cache/topology/",
            "topology watched": "/environments/ties/orders/topology/",
            "topology of a cluster": "/environments/ties/catalogue/topology/",
            "topology alone": "/environments/ties/alone/topology/",
            "topology parted": "/environments/ties/parted/topology/",
            "parted": "/environments/ties/parted/",
            "nodes add from topology": "/environments/ties/catalogue/nodes/add-many/?from=topology",
            "install": "/environments/shop/queue/addons/encryption/install/",
            "node add": "/environments/shop/queue/nodes/add/",
            "environment edit": "/environments/shop/-/edit/",
            "environment remove": "/environments/shop/-/remove/",
            "certificates": "/certificates/",
            "certificates nothing": "/certificates/?q=nowhere",
            "authorities": "/certificates/authorities/",
            "clients": "/certificates/clients/",
            "clients nothing": "/certificates/clients/?q=nowhere",
            "environment clients": "/environments/shop/-/certificates/",
            "windows": "/environments/shop/-/windows/",
            "client issue": "/environments/shop/-/certificates/issue/?holder=billing&form=pkcs12",
            "reauthenticate": "/account/reauthenticate/?next=/",
            "environment archive": "/environments/shop/-/archive/",
            "group archive": "/environments/shop/cache/archive/",
            "node archive": f"/nodes/{first.pk}/archive/",
            "node gone": f"/nodes/{first.pk}/gone/",
            "node move": f"/nodes/{first.pk}/move/",
            "archive": "/archive/",
            "archive nothing": "/archive/?q=nowhere",
            "archived environment": f"/archive/environment/{old.environment_id}/",
            "archived group": f"/archive/group/{old.pk}/",
            "archived node": f"/archive/node/{Node.recorded.get(group=old).pk}/",
            "group edit": "/environments/shop/queue/edit/",
            "group remove": "/environments/shop/cache/remove/",
            "node remove": f"/nodes/{first.pk}/remove/",
            "nodes add": "/environments/shop/queue/nodes/add-many/",
            "host keys": "/environments/shop/queue/host-keys/",
            "host keys none": "/environments/shop/cache/host-keys/",
            "keys": "/keys/",
            "key add": "/keys/-/add/",
            "add-ons": "/addons/",
            "add-on": "/addons/encryption/",
            "install where": "/addons/encryption/install/?environment=nowhere",
            "install from add-ons": "/addons/encryption/install/?environment=shop",
            "runs": "/runs/",
            "search": "/search/",
            "search found": "/search/?q=queue",
            "search nothing": "/search/?q=nowhere",
            "audit": "/audit/",
            "password": "/account/password/change/",
            "email": "/account/email/",
        }
