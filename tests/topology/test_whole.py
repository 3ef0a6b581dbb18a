"""What the nodes of a group have seen, put together."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.disagreeing import disagreements
from instances.nodeconf.topology.encrypted import Wire
from instances.nodeconf.topology.known import Known, Register
from instances.nodeconf.topology.picture import Kind, Member, Topology
from instances.nodeconf.topology.seen import Down, Follower, Following, Role, Seen, Watch, Watched
from instances.nodeconf.topology.strangers import As
from instances.nodeconf.topology.whole import sets_of, topology_of
from tests.topology.recorded import (
    CLUSTER,
    NOW,
    REPLICATION,
    SENTINELS,
    VERSIONS,
    address,
    managed,
)

EACH = pytest.mark.parametrize("version", VERSIONS)


def by_name(topology: Topology) -> dict[str, Member]:
    return {each.name: each for each in topology.members}


@EACH
@pytest.mark.parametrize(("state", "wire"), [("plain", Wire.PLAIN), ("tls", Wire.TLS)])
def test_replication_says_who_follows_whom_over_what(version: str, state: str, wire: Wire) -> None:
    topology = topology_of(managed(version, state, (*REPLICATION, *SENTINELS)))
    assert topology.kind is Kind.SENTINEL
    members = by_name(topology)
    assert len(members) == 6
    for port in (7002, 7003):
        link = members[f"node-{port}"].link
        assert link is not None
        assert topology.member(link.primary).name == "node-7001"
        assert (link.up, link.encrypted.wire) == (True, wire)
        assert link.behind is not None
        assert link.behind < 1000
    (guard,) = topology.guards
    assert (guard.name, guard.quorum, len(guard.sentinels)) == ("orders", 2, 3)
    assert topology.strangers == ()
    assert disagreements(managed(version, state, (*REPLICATION, *SENTINELS))) == []


@EACH
def test_without_sentinels_it_is_replication_that_somebody_watches(version: str) -> None:
    known = managed(version, "plain", REPLICATION)
    assert [each.met_as for each in topology_of(known).strangers] == [As.SENTINEL]
    alone = [replace(each, seen=replace(each.seen, sentinels=())) for each in known if each.seen]
    assert topology_of(alone).kind is Kind.REPLICATION


@EACH
def test_from_one_replica_its_primary_is_met(version: str) -> None:
    (known,) = managed(version, "plain", [7003])
    met = {(str(each), each.met_as) for each in topology_of([known]).strangers}
    assert met == {(f"{address(version)}:7001", As.PRIMARY), (address(version), As.SENTINEL)}


@EACH
def test_from_one_sentinel_everybody_is_met_and_ghosts_are_not(version: str) -> None:
    # With TLS the replicas announce another port, which Sentinels that speak plaintext keep, too.
    (known,) = managed(version, "killed", [27001])
    met = {each.place.port: each.met_as for each in topology_of([known]).strangers}
    assert met == {
        7001: As.PRIMARY,
        7002: As.REPLICA,
        7003: As.REPLICA,
        27002: As.SENTINEL,
        27003: As.SENTINEL,
    }


@EACH
def test_from_one_node_the_whole_cluster_is_met(version: str) -> None:
    (known,) = managed(version, "plain", [8004])
    topology = topology_of([known])
    assert topology.kind is Kind.CLUSTER
    assert {each.place.port for each in topology.strangers} == set(CLUSTER) - {8004}
    assert len(topology.members) == 6
    assert sum(each.link is not None for each in topology.members) == 3


@EACH
def test_a_cluster_has_its_shards(version: str) -> None:
    topology = topology_of(managed(version, "tls", CLUSTER))
    shards = [
        (root.slots, [each.name for each in below[root.key]]) for root, below in sets_of(topology)
    ]
    assert len(shards) == 3
    assert all(slots and len(replicas) == 1 for slots, replicas in shards)
    assert topology.bus is not None
    assert (topology.bus.serving, topology.bus.assigned, topology.bus.cut) == (True, 16384, ())
    assert topology.bus.encrypted.wire is Wire.UNKNOWN, "a setting proves nothing of older links"
    assert topology.strangers == ()
    plain = topology_of(managed(version, "plain", CLUSTER)).bus
    assert plain is not None
    assert plain.encrypted.wire is Wire.PLAIN


@EACH
def test_a_bus_is_encrypted_once_all_but_one_were_started_with_it(version: str) -> None:
    known = managed(version, "tls", CLUSTER)

    def bus(born: int) -> Wire:
        changed = [
            replace(each, seen=replace(each.seen, bus_born_over_tls=index < born))
            for index, each in enumerate(known)
            if each.seen
        ]
        found = topology_of(changed).bus
        assert found is not None
        return found.encrypted.wire

    assert [bus(born) for born in (4, 5, 6)] == [Wire.UNKNOWN, Wire.TLS, Wire.TLS]


@EACH
def test_a_bus_whose_links_were_made_anew_is_as_it_is_set(version: str) -> None:
    for state, wire in (("tls", Wire.TLS), ("plain", Wire.PLAIN)):
        bus = topology_of(managed(version, state, CLUSTER), renewed=True).bus
        assert bus is not None
        assert bus.encrypted.wire is wire


@EACH
def test_the_dead_are_shown_by_the_account_of_the_living(version: str) -> None:
    topology = topology_of(managed(version, "killed", (*REPLICATION, *SENTINELS, *CLUSTER)))
    down = {name for name, each in by_name(topology).items() if each.down is Down.YES}
    assert down == {"node-7003", "node-8001", "node-27003"}
    dead = by_name(topology)["node-8001"]
    assert (dead.slots, dead.link) == ((), None)
    promoted = [each for each in topology.members if each.slots and each.role is Role.PRIMARY]
    assert len(promoted) == 3


@EACH
def test_a_replica_that_lost_its_primary_is_shown_so(version: str) -> None:
    topology = topology_of(managed(version, "lost", REPLICATION[:2]))
    link = by_name(topology)["node-7002"].link
    assert link is not None
    assert (link.up, link.encrypted.wire) == (False, Wire.UNKNOWN)
    assert topology.member(link.primary).node is None


def test_the_order_of_nodes_changes_nothing() -> None:
    known = managed("redis-7.0", "killed", (7001, 7002, 27001, 27002))
    first = topology_of(known)
    for order in permutations(known):
        again = topology_of(order)
        assert set(again.members) == set(first.members)
        assert {*again.strangers} == {*first.strangers}


def test_a_server_alone_is_standalone_and_one_that_nobody_saw_is_unknown() -> None:
    assert topology_of(managed("redis-7.0", "plain", [9001])).kind is Kind.STANDALONE
    blind = topology_of([Known(1, "a", frozenset({"10.0.0.1"}))])
    assert (blind.kind, blind.blind) == (Kind.UNKNOWN, ("a",))
    assert topology_of([]).kind is Kind.UNKNOWN


def server(key: int, seen: Seen, **more: object) -> Known:
    known = Known(key, f"cache-{key}", frozenset({f"10.0.0.{key}"}), seen=seen, seen_at=NOW)
    return replace(known, **more)  # type: ignore[arg-type]


def primary(history: str = "a" * 40, **more: object) -> Seen:
    return replace(  # type: ignore[arg-type]
        Seen(Role.PRIMARY, port=6379, tls_port=0, histories=(history,), offset=100), **more
    )


def replica(of: Place, **more: object) -> Seen:
    following = Following(of, up=True, idle=0, syncing=False)
    seen = Seen(Role.REPLICA, port=6379, tls_port=0, following=following, replicates_over_tls=False)
    return replace(seen, **more)  # type: ignore[arg-type]


def codes(*known: Known) -> list[str]:
    return [each.code for each in disagreements(known)]


def test_two_primaries_of_one_history_disagree_and_of_two_do_not() -> None:
    one = server(1, primary())
    assert codes(one, server(2, primary())) == ["TwoPrimaries"]
    assert codes(one, server(2, primary("b" * 40))) == []


def test_what_was_said_at_different_times_is_no_contradiction() -> None:
    earlier = server(2, primary(), seen_at=NOW - timedelta(minutes=5))
    assert codes(server(1, primary()), earlier) == []
    assert codes(server(1, primary()), server(2, primary(), silent="it is off")) == []


def test_a_replica_whom_its_primary_does_not_count_is_told() -> None:
    known = (server(1, primary()), server(2, replica(Place("10.0.0.1", 6379))))
    assert codes(*known) == ["NotCounted"]


def watching(key: int, of: int, quorum: int = 2, fellows: int = 2) -> Known:
    others = tuple(Watched(Place(f"10.0.1.{n}", 26379), "", Down.NO) for n in range(fellows))
    named = Watched(Place(f"10.0.0.{of}", 6379), "", Down.NO)
    watch = Watch("orders", named, quorum, 0, sentinels=others)
    return server(key, Seen(Role.SENTINEL, port=26379, watches=(watch,)))


def test_sentinels_that_name_different_primaries_disagree() -> None:
    servers = (server(1, primary()), server(2, primary("b" * 40)))
    assert codes(*servers, watching(7, 1), watching(8, 2)) == ["SentinelsDisagree"]
    assert codes(*servers, watching(7, 1), watching(8, 1)) == []


def test_a_sentinel_that_names_a_replica_is_misled() -> None:
    follows = server(2, replica(Place("10.0.0.9", 6379)))
    assert codes(follows, watching(7, 2)) == ["SentinelMisled"]


def test_quorums_that_differ_or_cannot_be_reached_are_told() -> None:
    assert codes(server(1, primary()), watching(7, 1, 2), watching(8, 1, 3)) == ["QuorumsDiffer"]
    assert codes(server(1, primary()), watching(7, 1, 3, 1)) == ["QuorumOutOfReach"]


def test_nodes_of_different_clusters_disagree() -> None:
    one = managed("redis-7.0", "plain", [8001])
    other = managed("redis-8.0", "plain", [8002])
    assert codes(*one, *other) == ["DifferentClusters"]


def test_slots_with_two_owners_are_told() -> None:
    mine, theirs = managed("redis-7.0", "plain", [8001, 8002])
    assert theirs.seen is not None
    assert theirs.seen.cluster is not None
    nodes = tuple(
        replace(each, slots=((0, 5000),)) if each.place.port == 8001 else each
        for each in theirs.seen.cluster.nodes
    )
    changed = replace(theirs.seen, cluster=replace(theirs.seen.cluster, nodes=nodes))
    assert codes(mine, replace(theirs, seen=changed)) == ["SlotsDisputed"]


def test_a_node_that_its_cluster_forgot_is_told() -> None:
    mine, theirs = managed("redis-7.0", "plain", [8001, 8002])
    assert theirs.seen is not None
    assert theirs.seen.cluster is not None
    nodes = tuple(each for each in theirs.seen.cluster.nodes if each.place.port != 8001)
    changed = replace(theirs.seen, cluster=replace(theirs.seen.cluster, nodes=nodes))
    assert codes(mine, replace(theirs, seen=changed)) == ["NodeForgotten"]


def test_a_name_that_nobody_has_is_the_primary_s_that_counts_the_replica() -> None:
    known = managed("redis-7.0", "plain", REPLICATION[:2])
    assert known[1].seen is not None
    assert known[1].seen.following is not None
    named = replace(known[1].seen.following, primary=Place("db.internal", 7001))
    known[1] = replace(known[1], seen=replace(known[1].seen, following=named))
    link = topology_of(known).members[1].link
    assert link is not None
    assert topology_of(known).member(link.primary).name == "node-7001"


def test_the_loopback_of_who_tells_is_its_own_machine() -> None:
    one, other = server(1, primary()), server(2, primary())
    register = Register([one, other])
    assert register.find(Place("127.0.0.1", 6379), other) is other
    assert register.find(Place("::ffff:10.0.0.1", 6379)) is one
    assert register.find(Place("10.0.0.1", 6380)) is None


def test_a_sentinel_that_is_not_managed_is_no_data_node_of_its_machine() -> None:
    known = server(1, primary(sentinels=(Place("10.0.0.1", 0), Place("10.0.0.7", 0))))
    assert known.seen is not None
    met = [str(each) for each in topology_of([known]).strangers]
    assert met == ["10.0.0.1", "10.0.0.7"]
    beside = server(7, Seen(Role.SENTINEL, port=26379))
    assert [str(each) for each in topology_of([known, beside]).strangers] == ["10.0.0.1"]


def test_what_a_sentinel_watches_elsewhere_is_not_ours() -> None:
    known = [server(1, primary()), watching(7, 1)]
    assert known[1].seen is not None
    foreign = replace(
        known[1].seen.watches[0],
        name="other",
        primary=Watched(Place("10.9.9.9", 6379), "", Down.NO),
    )
    seen = replace(known[1].seen, watches=(*known[1].seen.watches, foreign))
    known[1] = replace(known[1], seen=seen)
    assert all(each.place.address != "10.9.9.9" for each in topology_of(known).strangers)
    assert len(topology_of(known).guards) == 1


def test_a_ring_of_replicas_is_drawn_all_the_same() -> None:
    ring = [
        server(1, replica(Place("10.0.0.2", 6379))),
        server(2, replica(Place("10.0.0.1", 6379))),
    ]
    ((root, below),) = sets_of(topology_of(ring))
    assert [each.name for each in below[root.key]] == ["cache-2"]


@EACH
def test_a_sentinel_s_own_connection_is_plain_or_encrypted(version: str) -> None:
    topology = topology_of(managed(version, "plain", (*REPLICATION, *SENTINELS)))
    found = {each.encrypted.wire for member in topology.members for each in member.watching}
    assert found == {Wire.PLAIN}
    sentinel = watching(7, 1)
    assert sentinel.seen is not None
    over_tls = replace(sentinel, seen=replace(sentinel.seen, replicates_over_tls=True))
    encrypted = server(1, primary(port=0, tls_port=6379))
    (told,) = topology_of([encrypted, over_tls]).members[1].watching
    assert told.encrypted.wire is Wire.TLS
    (told,) = topology_of([server(1, primary()), over_tls]).members[1].watching
    assert told.encrypted.wire is Wire.UNKNOWN


def test_a_primary_that_died_is_shown_as_sentinels_have_it_now() -> None:
    former = server(1, primary(), silent="nothing listens", seen_at=NOW - timedelta(minutes=9))
    promoted = server(2, primary("b" * 40))
    sentinel = watching(7, 2)
    assert sentinel.seen is not None
    (watch,) = sentinel.seen.watches
    # Nobody has reached it since it is a replica, so its run is not known.
    left = Watched(Place("10.0.0.1", 6379), "", Down.YES)
    ghost = Watched(Place("10.0.0.9", 6380), "", Down.YES)
    seen = replace(sentinel.seen, watches=(replace(watch, replicas=(left, ghost)),))
    topology = topology_of([former, promoted, replace(sentinel, seen=seen)])
    dead = topology.member("n1")
    assert (dead.role, dead.down) == (Role.REPLICA, Down.YES)
    assert dead.link is not None
    assert dead.link.primary == "n2"
    assert all(each.place != "10.0.0.9:6380" for each in topology.members)


def test_a_silent_replica_that_was_promoted_is_the_primary() -> None:
    old = NOW - timedelta(minutes=9)
    silent = server(2, replica(Place("10.0.0.1", 6379)), silent="no route", seen_at=old)
    topology = topology_of([server(1, primary(), seen_at=old), silent, watching(7, 2)])
    assert (topology.member("n2").role, topology.member("n2").link) == (Role.PRIMARY, None)


FOREST = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, 11), min_size=size, max_size=size),
        st.lists(st.booleans(), min_size=size, max_size=size),
        st.integers(0, 999),
    )
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FOREST)
def test_whoever_follows_whom_is_drawn_once_and_so_whatever_is_managed(
    forest: tuple[list[int], list[bool], int],
) -> None:
    parents, kept, seed = forest
    above = {n: p for n, p in enumerate(parents) if p < n}
    nodes = []
    for n in range(len(parents)):
        below = [k for k, p in above.items() if p == n]
        followers = tuple(Follower(Place(f"10.0.0.{k}", 6379), True, 90, 1) for k in below)
        seen = (
            replica(Place(f"10.0.0.{above[n]}", 6379), offset=100)
            if n in above
            else primary(f"{n:040x}")
        )
        nodes.append(server(n, replace(seen, followers=followers)))
    ours = [node for node, keep in zip(nodes, kept, strict=True) if keep]
    Random(seed).shuffle(ours)
    topology = topology_of(ours)
    keys = [each.key for each in topology.members]
    assert len(keys) == len(set(keys))
    assert {each.node for each in topology.members if each.node is not None} == {
        each.key for each in ours
    }
    met = {each.place.address for each in topology.strangers}
    around = {above[n.key] for n in ours if n.key in above}
    around |= {k for k, p in above.items() if p in {n.key for n in ours}}
    assert met == {f"10.0.0.{n}" for n in around - {n.key for n in ours}}
    for each in topology.members:
        if each.node is not None:
            link = each.link and topology.member(each.link.primary).place
            assert link == (f"10.0.0.{above[each.node]}:6379" if each.node in above else None)
    drawn = [root.key for root, _ in sets_of(topology)]
    drawn += [x.key for _, below in sets_of(topology) for many in below.values() for x in many]
    assert sorted(drawn) == sorted(keys)
    assert disagreements(nodes) == []
