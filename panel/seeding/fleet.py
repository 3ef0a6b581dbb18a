"""Storing a made-up fleet, a few hundred environments at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from django.db import connection, models, transaction

from addons.authorities import authority_ensure
from addons.encryption.models import PlainPort, PlaintextClient
from addons.models import Certificate, Installation, Run
from addons.pki.keys import KeyType
from instances.audit import Actor, audit
from instances.errors import Conflict
from instances.models import AuditEvent, Environment, Node, NodeGroup
from instances.reason import Reason
from instances.services import credential_create
from panel.seeding.content import PEOPLE
from panel.seeding.nodes import LIFETIME, Place, certificate, machine, node, observed
from panel.seeding.plaintext import plaintext
from panel.seeding.plan import PlannedEnvironment, fleet_plan
from panel.seeding.runs import SPEC, MadeRun, runs_of
from panel.seeding.topology import topology

BATCH = 250
"""Environments that are in memory together."""
_ROWS = 1000
_ENCRYPTED = 0.85
"""The share of groups with the encryption add-on; all large ones have it."""
_BY_HAND = 0.1
"""The share of those whose certificates are not renewed by themselves."""
_LARGE = 50


def fleet_seed(
    *, actor: Actor, environments: int, nodes: int, now: datetime, chance: Random
) -> None:
    """Fill an empty panel. With equal arguments it is the same fleet, but for its secret keys.

    Args:
        actor: Who asks for it.
        environments: One at least.
        nodes: Of all of them together.
        now: What ages are counted from.
        chance: Decides everything else.

    Raises:
        Conflict: The panel has an environment.
    """
    if Environment.recorded.exists():
        raise Conflict(
            Reason(
                "NotEmpty",
                "This panel has environments: made-up ones do not belong among them.",
                "Make another panel: `REDOUBT_STATE=/tmp/seeded manage.py setup`; seed that one.",
            )
        )
    planned = fleet_plan(environments, nodes, chance)
    with transaction.atomic():
        key = credential_create(actor=actor, name="made-up")
        storage = _Storage(key.pk, now, chance, count(1))
        for first in range(0, len(planned), BATCH):
            storage.store(planned[first : first + BATCH])
        audit(actor, "environment.seed", f"{environments} environments", nodes=nodes)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # What autovacuum does some time after so many rows.
            cursor.execute("ANALYZE")


@dataclass(frozen=True, slots=True)
class _Storage:
    """Makes environments with everything in them, and stores them.

    Args:
        credential: With which their machines would be logged in to.
        numbers: Of the nodes.
    """

    credential: int
    now: datetime
    chance: Random
    numbers: Iterator[int]

    def store(self, planned: Sequence[PlannedEnvironment]) -> None:
        """Store some environments."""
        environments = _stored(
            [
                Environment(name=each.name, region=each.region, created_at=self._long_ago())
                for each in planned
            ]
        )
        pairs = list(zip(planned, environments, strict=True))
        groups = _stored(
            [
                NodeGroup(environment=within, name=group.name, created_at=within.created_at)
                for each, within in pairs
                for group in each.groups
            ]
        )
        sizes = [group.nodes for each in planned for group in each.groups]
        by_group = self._nodes(groups, sizes)
        _stored([row for _, nodes in by_group if nodes for row in topology(nodes)])
        self._installed(by_group)
        self._audited(environments, by_group)

    def _nodes(
        self, groups: Sequence[NodeGroup], sizes: Sequence[int]
    ) -> list[tuple[NodeGroup, list[Node]]]:
        places = [
            Place(group, f"{group.name}-{number}", next(self.numbers))
            for group, size in zip(groups, sizes, strict=True)
            for number in range(1, size + 1)
        ]
        machines = _stored(
            [machine(place, self.credential, self.now, self.chance) for place in places]
        )
        nodes = _stored(
            [
                node(place, on, self.now, self.chance)
                for place, on in zip(places, machines, strict=True)
            ]
        )
        found: dict[int, list[Node]] = {group.pk: [] for group in groups}
        for each in nodes:
            found[each.group_id].append(each)
        return [(group, found[group.pk]) for group in groups]

    def _installed(self, by_group: Sequence[tuple[NodeGroup, list[Node]]]) -> None:
        chosen = [
            (group, nodes)
            for group, nodes in by_group
            if nodes and (self.chance.random() < _ENCRYPTED or len(nodes) >= _LARGE)
        ]
        installations = _stored(
            [
                Installation(group=group, addon="encryption", spec=self._spec(), generation=1)
                for group, _ in chosen
            ]
        )
        rows, certificates = [], []
        ports: list[PlainPort] = []
        clients: list[PlaintextClient] = []
        runs: list[MadeRun] = []
        for installation, (group, nodes) in zip(installations, chosen, strict=True):
            authority = self._authority(group.environment)
            for each in nodes:
                issued = self.now - self._age(renewed=installation.spec["renew"] == "auto")
                served = certificate(each, authority, issued, self.chance)
                certificates.append(served)
                rows.append(observed(each, installation, served, self.now, self.chance))
                if (at := rows[-1].observed_at) is not None:
                    port, there = plaintext(each, issued, at, self.chance)
                    ports.append(port)
                    clients += there
            runs += runs_of(installation, nodes, self.now, self.chance)
        _stored(certificates)
        _stored(rows)
        _stored(ports)
        _stored(clients)
        _stored([each.run for each in runs])
        _stored([row for each in runs for row in each.nodes])
        _stored([record for each in runs for record in each.records])

    def _authority(self, environment: Environment) -> int:
        began = self.now - LIFETIME
        return authority_ensure(environment=environment, key_type=KeyType.EC_P256, now=began).pk

    def _spec(self) -> dict[str, Any]:
        return SPEC | {"renew": "off" if self.chance.random() < _BY_HAND else "auto"}

    def _age(self, *, renewed: bool) -> timedelta:
        """Return since when a certificate serves; where none is renewed some end soon, or have."""
        if renewed:
            return timedelta(days=self.chance.uniform(1, 240))
        fate = self.chance.random()
        days = self.chance.uniform(1, 330)
        if fate < 0.2:
            days = self.chance.uniform(335, 364)
        elif fate < 0.23:
            days = self.chance.uniform(366, 370)
        return timedelta(days=days)

    def _audited(
        self,
        environments: Sequence[Environment],
        by_group: Sequence[tuple[NodeGroup, list[Node]]],
    ) -> None:
        events = [self._event("environment.create", each, each.created_at) for each in environments]
        for group, nodes in by_group:
            at = group.created_at
            events.append(self._event("group.create", group, at))
            events += [
                self._event("node.register", each, at, group=str(group), address=each.address)
                for each in nodes
            ]
        _stored(events)

    def _event(self, verb: str, target: models.Model, at: datetime, **detail: str) -> AuditEvent:
        return AuditEvent(
            at=at,
            actor_name=self.chance.choice(PEOPLE),
            source="2001:db8::5",
            verb=verb,
            target=str(target)[:200],
            detail=detail,
        )

    def _long_ago(self) -> datetime:
        return self.now - timedelta(minutes=self.chance.randint(400 * 1440, 800 * 1440))


_STAMPED = {
    AuditEvent: "at",
    Certificate: "created_at",
    Environment: "created_at",
    Node: "created_at",
    NodeGroup: "created_at",
    Run: "created_at",
}
"""What is stamped when it is stored, and would all seem made today."""


def _stored(rows: Sequence[Any]) -> list[Any]:
    """Insert rows of one model, with the times they have."""
    if not rows:
        return []
    model = type(rows[0])
    with _times_as_given(model):
        return list(model.objects.bulk_create(rows, batch_size=_ROWS))


@contextmanager
def _times_as_given(model: type[models.Model]) -> Iterator[None]:
    name = _STAMPED.get(model)
    stamped: Any = model._meta.get_field(name) if name else None  # noqa: SLF001 -- Django's public _meta
    if stamped is None:
        yield
        return
    stamped.auto_now_add = False
    try:
        yield
    finally:
        stamped.auto_now_add = True
