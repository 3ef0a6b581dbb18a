"""Who speaks plaintext to a made-up node: mostly nobody any more, on some a few who linger."""

from datetime import datetime, timedelta
from random import Random

from addons.encryption.models import PlainPort, PlaintextClient
from instances.models import Node
from panel.seeding.content import APPLICATIONS, LIBRARIES

_INTERVAL = timedelta(minutes=15)
_DAYS = 30
_QUIET = 0.6
"""The share of nodes that nobody has spoken plaintext to since their clients moved."""


def plaintext(
    of: Node, since: datetime, at: datetime, chance: Random
) -> tuple[PlainPort, list[PlaintextClient]]:
    """Return what is remembered of a node's plain port, and its clients.

    Args:
        of: The node.
        since: When it was first sampled.
        at: When it was last.
        chance: Decides who is there.
    """
    since = min(since, at)
    quiet = chance.random() < _QUIET
    clients = [_client(of, since, at, chance) for _ in range(chance.randint(0 if quiet else 1, 4))]
    clients = list({each.address: each for each in clients}.values())
    if quiet:
        left = max(since, at - timedelta(days=chance.uniform(2, 20)))
        for each in clients:
            each.last_seen = max(each.first_seen, left - timedelta(hours=chance.uniform(0, 9)))
    there = [each for each in clients if each.last_seen == at]
    silent = max((each.last_seen for each in clients), default=since) + _INTERVAL
    port = PlainPort(
        node=of,
        port=6379,
        sampled_at=at,
        since=since,
        samples=_samples(since, at),
        quiet_since=None if there else silent,
        quiet_samples=0 if there else _samples(silent, at),
        connections=sum(each.connections for each in there),
        addresses=len(there),
    )
    return port, clients


def _client(of: Node, since: datetime, at: datetime, chance: Random) -> PlaintextClient:
    first = max(since, at - timedelta(days=chance.uniform(1, _DAYS)))
    return PlaintextClient(
        node=of,
        address=f"10.{chance.randint(0, 9)}.{chance.randint(0, 40)}.{chance.randint(2, 250)}",
        names=chance.choice((*APPLICATIONS, "", "")),
        users=chance.choice(("default", "app")),
        libraries=chance.choice(LIBRARIES),
        kinds=chance.choice(("normal", "normal", "normal", "pubsub")),
        connections=chance.randint(1, 12),
        age=chance.randint(2, 40 * 86400),
        first_seen=first,
        last_seen=at,
        sightings=_samples(first, at),
    )


def _samples(since: datetime, at: datetime) -> int:
    return 1 + max(0, (at - since) // _INTERVAL)
