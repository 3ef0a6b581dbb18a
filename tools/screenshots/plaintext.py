"""Who still speaks plaintext in the pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from addons.encryption.models import PlainPort, PlaintextClient
from addons.models import NodeInstallation
from instances.models import NodeGroup
from tools.screenshots.day import NOW

_LATEST = NOW - timedelta(minutes=4)
_EVERY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Lingering:
    """A client that has not moved to TLS yet.

    Args:
        hours: How long ago it was there last; 0 where it still is.
        age: Of its longest connection, in hours.
    """

    address: str
    names: str
    users: str = "shop"
    libraries: str = ""
    kinds: str = "normal"
    connections: int = 1
    hours: float = 0
    age: float = 1


_SHOP = (
    Lingering("10.20.40.11", "checkout", libraries="redis-py 6.4.0", connections=8, age=700),
    Lingering("10.20.40.12", "checkout", libraries="redis-py 6.4.0", connections=6, age=700),
    Lingering("10.20.41.5", "basket-worker\nbasket-api", libraries="jedis 5.2.0", connections=3),
    Lingering("10.20.41.9", "", "default", kinds="pubsub", age=51),
    Lingering("127.0.0.1", "redis_exporter", "monitoring", age=2000),
    Lingering("2001:db8:40::7", "mailer", libraries="ioredis 5.4.1", hours=2, age=0.4),
)
_PAYMENTS = (Lingering("10.20.77.3", "nightly-report", "report", hours=11, age=0.02),)


def plaintext_tell(groups: Mapping[str, NodeGroup]) -> None:
    """Tell of every encrypted group who was met on its plain ports."""
    there = {
        groups["shop-production/sessions"].pk: _SHOP,
        groups["payments-us/ledger"].pk: _PAYMENTS,
    }
    rows = NodeInstallation.objects.exclude(observed_at=None)
    for row in rows.select_related("installation", "node").order_by("pk"):
        _sampled(row, there.get(row.installation.group_id, ()))


def _sampled(row: NodeInstallation, clients: Sequence[Lingering]) -> None:
    certificates = row.node.certificates.order_by("not_before")
    since = certificates[0].not_before if certificates else _LATEST
    here = [each for each in clients if not each.hours]
    quiet = max((_LATEST - timedelta(hours=each.hours) for each in clients), default=since)
    PlainPort.objects.create(
        node=row.node,
        port=6379,
        sampled_at=_LATEST,
        since=since,
        samples=1 + (_LATEST - since) // _EVERY,
        quiet_since=None if here else quiet,
        quiet_samples=0 if here else 1 + (_LATEST - quiet) // _EVERY,
        connections=sum(each.connections for each in here),
        addresses=len(here),
    )
    for each in clients:
        last = _LATEST - timedelta(hours=each.hours)
        PlaintextClient.objects.create(
            node=row.node,
            address=each.address,
            names=each.names,
            users=each.users,
            libraries=each.libraries,
            kinds=each.kinds,
            connections=each.connections,
            age=int(each.age * 3600),
            first_seen=since,
            last_seen=last,
            sightings=1 + max(0, (last - since) // _EVERY),
        )
