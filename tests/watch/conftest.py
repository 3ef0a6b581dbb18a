"""A group with the add-on on it, looks made up, and a broker that remembers what it was told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from addons.models import NodeInstallation
from addons.watch import schedule
from addons.watch.look import Look, Verdict
from addons.watch.results import look_store
from instances.audit import Actor
from tests.pages.world import VERIFIED, World

NOW = timezone.now().replace(microsecond=0)
"""What pages say of a look goes by the clock on the wall."""
DRIFT = [
    {
        "step": "configuration",
        "place": "/etc/redis/redis.conf",
        "lines": [
            {"kind": "hunk", "text": "@@ -1 +1 @@ /etc/redis/redis.conf"},
            {"kind": "del", "text": "tls-port 6390"},
            {"kind": "add", "text": "tls-port 6380"},
        ],
    }
]
SERVED = Verdict("Encrypted", "true", "VerifiedFromPanel", "TLSv1.3, PONG in 1.0 ms")
IN_STEP = Look(
    (
        Verdict("Reached", "true", "Answered", "The node was looked at."),
        Verdict("AsWanted", "true", "InStep", "Everything is as wanted."),
        SERVED,
    ),
    drift=[],
    observed={"fingerprint": "AA:BB", "not_after": (NOW + timedelta(days=365)).isoformat()},
)
DRIFTED = Look(
    (
        Verdict("Reached", "true", "Answered", "The node was looked at."),
        Verdict("AsWanted", "false", "Drift", "cache-1: /etc/redis/redis.conf is not as wanted."),
        SERVED,
    ),
    drift=DRIFT,
    observed={"fingerprint": "AA:BB"},
)
SILENT = Look((Verdict("Reached", "unknown", "NoRoute", "cache-1: no route"),))


@pytest.fixture
def world(db: None) -> World:
    return World(Actor(None, "ada", "test"))


@pytest.fixture
def row(world: World) -> NodeInstallation:
    """One node with the add-on on it, not looked at yet."""
    world.installed(world.group("shop", "cache", nodes=1), VERIFIED)
    NodeInstallation.objects.update(observed_at=None, conditions=[])
    return NodeInstallation.objects.select_related("node", "installation").get()


Store = Callable[[Look, datetime], NodeInstallation]


@pytest.fixture
def store(row: NodeInstallation) -> Store:
    """Store a look that was made at a moment, and return the row as it then is."""

    def store(look: Look, at: datetime) -> NodeInstallation:
        assert look_store(row=row, look=look, began=at, now=at)
        return NodeInstallation.objects.select_related("node", "installation").get(pk=row.pk)

    return store


@dataclass
class Broker:
    """What workers were told, by batch."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    lost: bool = False

    def send_task(self, name: str, args: list[Any], **options: Any) -> None:
        if self.lost:
            raise schedule.OperationalError("nobody there")
        self.sent.append({"name": name, "rows": args[0], "asked_at": args[1], **options})

    @property
    def rows(self) -> list[int]:
        return [row for each in self.sent for row in each["rows"]]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(schedule, "current_app", made)
    return made
