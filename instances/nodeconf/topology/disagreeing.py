"""Where servers that belong together contradict each other."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from instances.nodeconf.topology.known import Known, Register
from instances.nodeconf.topology.seen import ClusterSeen, Role, Slots, Watch
from instances.reason import Reason

MOMENT = timedelta(minutes=2)
"""What two servers said counts as said at one time; between two looks a failover may lie."""


def disagreements(known: Iterable[Known]) -> list[Reason]:
    """Return where servers contradict each other, the gravest first; each sort once.

    Only what was said at one time is compared: who was looked at before a failover is not wrong.
    """
    register = Register(known)
    told = [each for each in register.known if each.seen and each.seen_at and not each.silent]
    found: dict[str, Reason] = {}
    checks = (_clusters, _slots, _two_primaries, _named, _quorums, _unheard)
    for check in checks:
        for reason in check(told, register):
            found.setdefault(reason.code, reason)
    return list(found.values())


def _near(one: Known, other: Known) -> bool:
    return bool(one.seen_at and other.seen_at and abs(one.seen_at - other.seen_at) <= MOMENT)


def _clusters(told: Sequence[Known], _register: Register) -> Iterator[Reason]:
    for one, other, mine, theirs in _both_in_clusters(told):
        met = {each.id for each in mine.nodes} & {each.id for each in theirs.nodes}
        if not met:
            yield Reason(
                "DifferentClusters",
                f"{one.name} and {other.name} are in different clusters: neither knows a node of "
                "the other's.",
                "Give each cluster a node group of its own, or see why they parted.",
            )
        elif mine.me not in {each.id for each in theirs.nodes}:
            yield _forgotten(other, one)
        elif theirs.me not in {each.id for each in mine.nodes}:
            yield _forgotten(one, other)


def _forgotten(who: Known, whom: Known) -> Reason:
    return Reason(
        "NodeForgotten",
        f"{who.name} does not know {whom.name}, which takes itself for a node of the same cluster.",
        f"CLUSTER MEET on {who.name} makes them known to each other.",
    )


def _slots(told: Sequence[Known], _register: Register) -> Iterator[Reason]:
    for one, other, mine, theirs in _both_in_clusters(told):
        owners = _owners(theirs)
        disputed = [
            slots for number, slots in _owners(mine).items() if owners.get(number, slots) != slots
        ]
        if disputed:
            yield Reason(
                "SlotsDisputed",
                f"{one.name} and {other.name} name different owners for slots of the cluster, "
                f"among them {_ranged(disputed[0])}.",
                "Wait a few seconds and look again; then see redis-cli --cluster check.",
            )


def _both_in_clusters(
    told: Sequence[Known],
) -> Iterator[tuple[Known, Known, ClusterSeen, ClusterSeen]]:
    """Yield everybody beside who told last: whom nobody contradicts, nobody contradicts him."""
    there = [(each, each.seen.cluster) for each in told if each.seen and each.seen.cluster]
    if not there:
        return
    last, theirs = max(there, key=lambda pair: (pair[0].seen_at, pair[0].key))
    for one, mine in there:
        if one is not last and _near(one, last):
            yield one, last, mine, theirs


def _owners(cluster: ClusterSeen) -> dict[str, Slots]:
    return {each.id: each.slots for each in cluster.nodes if not each.primary}


def _ranged(slots: Slots) -> str:
    first, last = slots[0] if slots else (0, 0)
    return f"{first}" if first == last else f"{first}-{last}"


def _two_primaries(told: Sequence[Known], _register: Register) -> Iterator[Reason]:
    """Find primaries that were one data set before: a failover or a hand has parted them."""
    sharing: dict[str, list[Known]] = {}
    for each in told:
        if each.seen and each.seen.role is Role.PRIMARY and not each.seen.cluster:
            for history in each.seen.histories:
                sharing.setdefault(history, []).append(each)
    for one, other in ((a, b) for who in sharing.values() for a, b in pairwise(who)):
        if _near(one, other):
            yield Reason(
                "TwoPrimaries",
                f"{one.name} and {other.name} both take writes as a primary of what was one data "
                f"set: {_followed(one)}, {_followed(other)}.",
                "Decide which one counts. REPLICAOF makes the other follow it, and discards what "
                "was written there since.",
            )


def _followed(known: Known) -> str:
    count = len(known.seen.followers) if known.seen else 0
    who = "nobody follows" if not count else f"{count} follow{'s' * (count == 1)}"
    return f"{who} {known.name}"


def _named(told: Sequence[Known], register: Register) -> Iterator[Reason]:
    """Compare the primary that each Sentinel names, with each other and with that server."""
    first: dict[str, tuple[Known, Known | None, Watch]] = {}
    for each in told:
        for watch in each.seen.watches if each.seen else ():
            named = register.find(watch.primary.place, each, watch.primary.id)
            other, theirs, said = first.setdefault(watch.name, (each, named, watch))
            if (named or watch.primary.place) != (theirs or said.primary.place) and _near(
                each, other
            ):
                yield Reason(
                    "SentinelsDisagree",
                    f"Of {watch.name}, {other.name} names {_called(theirs, said)} as the primary, "
                    f"{each.name} {_called(named, watch)}.",
                    "See that the Sentinels reach each other; SENTINEL RESET makes one look anew.",
                )
            if named and named.seen and named.seen.following and _near(each, named):
                yield Reason(
                    "SentinelMisled",
                    f"{each.name} names {named.name} as the primary of {watch.name}, and that one "
                    "follows another server.",
                    "Wait for a failover to end and look again; then SENTINEL RESET.",
                )


def _called(known: Known | None, watch: Watch) -> str:
    return known.name if known else str(watch.primary.place)


def _quorums(told: Sequence[Known], register: Register) -> Iterator[Reason]:
    quorums: dict[str, dict[int, str]] = {}
    for each in told:
        for watch in each.seen.watches if each.seen else ():
            if register.concerns(watch, each):
                quorums.setdefault(watch.name, {}).setdefault(watch.quorum, each.name)
                sentinels = len(watch.sentinels) + 1
                if watch.quorum > sentinels:
                    yield Reason(
                        "QuorumOutOfReach",
                        f"{each.name} wants {watch.quorum} Sentinels to find the primary of "
                        f"{watch.name} down, and knows {sentinels}.",
                        f"Add Sentinels, or SENTINEL SET {watch.name} quorum {sentinels // 2 + 1}.",
                    )
    for name, said in quorums.items():
        if len(said) > 1:
            (first, who), (second, other), *_ = said.items()
            yield Reason(
                "QuorumsDiffer",
                f"Of {name}, {who} has the quorum {first}, {other} {second}.",
                f"SENTINEL SET {name} quorum on each Sentinel, to the same number.",
            )


def _unheard(told: Sequence[Known], register: Register) -> Iterator[Reason]:
    """Find replicas whose primary says that nobody follows it."""
    for replica in told:
        following = replica.seen.following if replica.seen else None
        if following is None or not following.up:
            continue
        primary = register.find(following.primary, replica)
        if primary is None or primary.seen is None or primary.silent:
            continue
        if not primary.seen.followers and _near(replica, primary):
            yield Reason(
                "NotCounted",
                f"{replica.name} follows {primary.name}, which says that nobody follows it.",
                "Look again: one of the two may have been looked at while a link was made.",
            )
