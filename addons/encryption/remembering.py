"""Remembering who spoke plaintext: one sample of a node's plain port after the other."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from addons.encryption.models import PlainPort, PlaintextClient
from addons.encryption.plaintext import PlainConnection, PlainSample
from instances.models import Node

KEPT = timedelta(days=30)
"""For how long a client is remembered that does not come again."""
MOST = 500
"""Addresses of a node: where more come, those met longest ago are dropped, and counted."""
LONGEST_GAP = timedelta(days=1)
"""Between two samples. After a longer one nobody can say that it was quiet meanwhile."""
_NAMES, _LETTERS = 8, 100
_UPDATED = (
    *("names", "users", "libraries", "kinds", "connections", "age", "last_seen", "sightings"),
)


def sample_remember(*, node: Node, sample: PlainSample, now: datetime) -> None:
    """Remember a sample, in as many queries however many clients there are.

    Call it in a transaction that nobody else has for this node.

    Args:
        node: Whose plain port it is of.
        sample: What was found.
        now: When.
    """
    known = {row.address: row for row in PlaintextClient.objects.filter(node=node)}
    met = [
        _met(node, address, connections, known.get(address), now)
        for address, connections in _by_address(sample.connections).items()
    ]
    kept = sorted(met, key=lambda row: (row.address not in known, -row.connections))[:MOST]
    others = known.keys() - {row.address for row in kept}
    gone = sorted(others, key=lambda address: known[address].last_seen)
    gone = gone[: max(0, len(kept) + len(others) - MOST)]
    PlaintextClient.objects.filter(pk__in=[known[address].pk for address in gone]).delete()
    PlaintextClient.objects.bulk_create(
        kept, update_conflicts=True, unique_fields=("node", "address"), update_fields=_UPDATED
    )
    former = PlainPort.objects.filter(node=node).first()
    port = _counted(former, node, sample, now)
    port.addresses = len(met)
    port.forgotten += len(gone) + len(met) - len(kept)
    PlainPort.objects.bulk_create(
        [port],
        update_conflicts=True,
        unique_fields=("node",),
        update_fields=[each.name for each in PlainPort._meta.fields if not each.primary_key],  # noqa: SLF001 -- Django's public _meta
    )


def clients_forget(*, now: datetime) -> int:
    """Forget who has not come for long, and return how many."""
    return PlaintextClient.objects.filter(last_seen__lt=now - KEPT).delete()[0]


def _by_address(connections: Iterable[PlainConnection]) -> Mapping[str, list[PlainConnection]]:
    found: dict[str, list[PlainConnection]] = defaultdict(list)
    for each in connections:
        found[each.peer.address].append(each)
    return found


def _met(
    node: Node,
    address: str,
    connections: Sequence[PlainConnection],
    known: PlaintextClient | None,
    now: datetime,
) -> PlaintextClient:
    """Return an address as it is to be remembered now."""
    ages = [each.age for each in connections if each.age is not None]
    before = known or PlaintextClient(first_seen=now, sightings=0)
    return PlaintextClient(
        node=node,
        address=address,
        names=_lines((each.name for each in connections), before.names),
        users=_lines((each.user for each in connections), before.users),
        libraries=_lines((each.library for each in connections), before.libraries),
        kinds=_lines((str(each.kind) for each in connections), before.kinds),
        connections=len(connections),
        age=max(ages, default=None),
        first_seen=before.first_seen,
        last_seen=now,
        sightings=before.sightings + 1,
    )


def _lines(now: Iterable[str], before: str) -> str:
    """Return what there is now and was before, each once, as many as are kept."""
    present = sorted({text[:_LETTERS] for text in now})
    each_once = dict.fromkeys([*present, *before.split("\n")])
    return "\n".join([text for text in each_once if text][:_NAMES])


def _counted(former: PlainPort | None, node: Node, sample: PlainSample, now: datetime) -> PlainPort:
    """Return the port with this sample counted; the count begins anew where it was broken."""
    port = former
    if port is None or port.port != sample.port or now - port.sampled_at > LONGEST_GAP:
        port = PlainPort(node=node, since=now)
    port.port, port.sampled_at = sample.port, now
    port.connections = len(sample.connections)
    why = sample.nameless
    port.nameless = f"{why.message} {why.next_step}".strip() if why else ""
    if sample.port:
        port.samples += 1
    if sample.connections or not sample.port:
        port.quiet_since, port.quiet_samples = None, 0
    else:
        port.quiet_since = port.quiet_since or now
        port.quiet_samples += 1
    return port
