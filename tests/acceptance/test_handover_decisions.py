"""Who takes a primary's role over before a restart, and who cannot; no host is needed."""

from dataclasses import replace
from typing import Any

import pytest

from addons.encryption.cluster import stays
from addons.encryption.handover import (
    handover_obstacles,
    handover_warnings,
    hands_over,
    heirs_named,
)
from addons.encryption.links import family, rank
from addons.encryption.party import Party
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.handover import Handover
from addons.encryption.steps.restart import Restart
from addons.session import NodeSession
from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.known import Known
from instances.nodeconf.topology.seen import (
    ClusterNode,
    ClusterSeen,
    Down,
    Follower,
    Role,
    Seen,
)
from instances.reason import Reason
from instances.runtime import RuntimeFacts
from tests.acceptance.test_decisions import session

SAVED, UNSAVED = {"save": "3600 1"}, {"save": "", "appendonly": "no"}
ADDRESSES = {1: "10.0.0.1", 2: "10.0.0.2", 3: "10.0.0.3"}
SENTINEL = Known(9, "sentinel-1", frozenset({"10.0.0.9"}), seen=Seen(Role.SENTINEL))
FELLOWS = [Known(n, f"redis-{n}", frozenset({host})) for n, host in ADDRESSES.items()]
SLOTS = ((0, 5460),)


def member(number: int, *, primary: str = "", down: Down = Down.NO) -> ClusterNode:
    place, slots = Place(ADDRESSES[number], 6379), () if primary else SLOTS
    return ClusterNode(
        f"id{number}", place, 16379, "", primary, down, linked=True, slots=slots, epoch=1
    )


def server(
    number: int,
    *,
    clustered: bool,
    watched: bool = False,
    config: dict[str, str] | None = None,
    ok: bool = True,
    version: tuple[int, ...] = (7, 0),
    sentinels: tuple[str, ...] = (),
    **info: str,
) -> NodeSession:
    """Number 1 is the primary, the others are its replicas."""
    leads = number == 1
    members = (member(1), member(2, primary="id1"), member(3, primary="id1"))
    seen = Seen(
        Role.PRIMARY if leads else Role.REPLICA,
        followers=tuple(
            Follower(Place(ADDRESSES[n], 6379), online=True, offset=1, idle=0) for n in (2, 3)
        )
        if leads
        else (),
        cluster=ClusterSeen(f"id{number}", ok, 16384, members) if clustered else None,
        sentinels=tuple(Place(each, 0) for each in sentinels),
    )
    told = {"role": "master", "connected_slaves": "2"} if leads else {"role": "slave"}
    usual = {"master_replid": "data", "master_link_status": "up", "repl_backlog_size": "1048576"}
    runtime = RuntimeFacts(
        config=SAVED | (config or {}),
        info=usual | told | {"cluster_enabled": "1" if clustered else "0"} | info,
        seen=seen,
    )
    fellows = [*FELLOWS, *([SENTINEL] if watched else [])]
    node: Any = session(runtime=runtime, version=version, fellows=fellows)
    node.name, node.brief.node = f"redis-{number}", number
    return node


def party_of(*nodes: NodeSession) -> Party:
    party = Party()
    for node in nodes:
        party.join(node)
    return party


def refused(node: NodeSession, *others: NodeSession) -> list[str]:
    found = list(handover_obstacles(node, party_of(node, *others)))
    assert all(reason.next_step for reason in found)
    return [reason.code for reason in found]


def shard(**special: Any) -> tuple[NodeSession, NodeSession, NodeSession]:
    first = server(1, clustered=True, **special)
    return first, server(2, clustered=True), server(3, clustered=True)


def test_a_shard_that_is_well_hands_its_role_over() -> None:
    primary, *replicas = shard()
    assert hands_over(primary)
    assert heirs_named(primary) == ["redis-2", "redis-3"]
    assert refused(primary, *replicas) == []
    assert not any(hands_over(each) for each in replicas)
    assert [refused(each) for each in replicas] == [[], []]


def test_clients_of_a_plain_primary_would_not_follow_so_it_keeps_its_role() -> None:
    primary = server(1, clustered=False)
    assert not hands_over(primary)
    assert heirs_named(primary) == []
    assert refused(primary) == []


def test_before_6_2_writes_cannot_be_held_back_alone() -> None:
    old, new = (server(1, clustered=False, watched=True, version=v) for v in ((6, 0), (6, 2)))
    assert (hands_over(old), hands_over(new)) == (False, True)
    assert [reason.code for reason in handover_warnings(old)] == ["RestartsInPlace"]
    assert list(handover_warnings(new)) == []
    # A cluster holds them back by itself.
    assert hands_over(server(1, clustered=True, version=(6, 0)))


def test_the_preview_says_to_whom_the_role_moves_and_that_is_no_drift() -> None:
    primary, replica, _ = shard()
    restart = Restart({}, tls_port=6380, plain_port=6379, party=Party())
    step = Handover(restart, Party())
    state = step.inspect(primary)
    assert step.satisfied(state) == Reason("Stays", "the server does not restart")
    restart.due = True
    assert step.satisfied(state) is None
    (change,) = step.describe(state)
    assert "moves to redis-2 or redis-3 before the restart, and is not moved back" in change.says
    assert not {"add", "del"} & {line.kind for line in change.lines}
    assert step.satisfied(step.inspect(replica)) == Reason("NoRole", "it has no role to hand over")
    # Its server may be a replica by now, whose file does not say so yet.
    replica.brief.begun = {"handover": state}
    assert step.satisfied(step.inspect(replica)) is None
    assert step.describe(step.inspect(replica)) == []


def test_a_cluster_that_is_not_well_restarts_nobody() -> None:
    primary, *replicas = shard(ok=False)
    assert refused(primary, *replicas) == ["ClusterDown"]


def test_what_a_run_has_left_in_disorder_does_not_keep_its_successor_from_ending_it() -> None:
    primary, second, _ = shard(ok=False)
    second.brief.begun = {"restart": {}}
    assert refused(primary, second) == []


def test_replicas_outside_the_run_take_nothing_over() -> None:
    primary, _, _ = shard()
    assert refused(primary) == ["NobodyTakesOver"]


def test_who_writes_nothing_to_disk_does_not_take_over_from_who_does() -> None:
    primary, _, third = shard()
    forgetful = server(2, clustered=True, config=UNSAVED)
    assert refused(primary, forgetful, third) == []
    assert refused(primary, forgetful) == ["NobodyTakesOver"]
    primary, *_ = shard(config=UNSAVED)
    assert refused(primary, forgetful) == []


def test_the_backlog_of_who_takes_over_has_to_last_for_the_restart() -> None:
    primary, *_ = shard(instantaneous_input_kbps="900")
    small = server(2, clustered=True)
    assert refused(primary, small) == ["BacklogTooSmall"]
    large = server(2, clustered=True, repl_backlog_size=str(4 * 1024 * 1024))
    assert refused(primary, large) == []


def test_sentinels_outside_the_group_could_take_a_restart_for_a_failure() -> None:
    primary = server(1, clustered=False, sentinels=("10.0.0.9",))
    assert refused(primary) == ["SentinelWatches"]
    watched = server(1, clustered=False, watched=True, sentinels=("10.0.0.9",))
    assert "SentinelWatches" not in refused(watched)


def test_who_is_watched_by_nobody_in_the_run_has_nobody_to_hand_over_to() -> None:
    primary = server(1, clustered=False, watched=True)
    replica = server(2, clustered=False, watched=True)
    assert refused(primary, replica) == ["NobodyTakesOver"]
    never = server(2, clustered=False, watched=True, slave_priority="0")
    assert refused(primary, never) == ["NobodyTakesOver"] * 2


def test_a_shard_without_replicas_is_away_while_it_restarts() -> None:
    primary = server(1, clustered=True, connected_slaves="0")
    assert [reason.code for reason in handover_warnings(primary)] == ["NobodyStandsIn"]
    assert refused(primary) == []
    assert list(handover_warnings(server(1, clustered=True))) == []


def test_primaries_of_a_cluster_wait_for_each_other_and_replicas_for_their_own() -> None:
    primary, second, third = shard()
    assert family(primary) == "cluster"
    assert family(second) == family(third) == "data"


ON = EncryptionSpec(tls_cluster="on")


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (ON, replace(ON, tls_minimum="1.3"), True),
        (ON, replace(ON, tls_port=7000), False),
        (ON, replace(ON, plaintext="off"), False),
        (ON, EncryptionSpec(), False),
        (None, ON, False),
    ],
)
def test_a_cluster_whose_nodes_go_on_speaking_as_they_do_can_restart_one_by_one(
    before: EncryptionSpec | None, after: EncryptionSpec, *, same: bool
) -> None:
    assert stays(before, after) is same


def test_in_a_cluster_that_restarts_replicas_have_their_turn_first() -> None:
    primary, second, _ = shard()
    assert (rank(primary, ON, ON, live=False), rank(second, ON, ON, live=False)) == (1, 0)
    assert (rank(primary, ON, ON, live=True), rank(second, ON, ON, live=True)) == (0, 0)
