"""What a server's replies are read as."""

from dataclasses import asdict

import pytest

from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.asking import HELLO, questions
from instances.nodeconf.topology.cluster import SLOTS, cluster_seen, slot_count
from instances.nodeconf.topology.seen import Down, Role, Seen, seen_from_json, seen_json
from tests.topology.recorded import (
    CLUSTER,
    REPLICATION,
    SENTINELS,
    VERSIONS,
    address,
    facts_with,
    said,
)

EACH = pytest.mark.parametrize("version", VERSIONS)


def told(version: str, state: str, port: int) -> Seen:
    seen = said(version, state, port)
    assert seen is not None
    return seen


@EACH
def test_a_primary_tells_who_follows_it(version: str) -> None:
    seen = told(version, "plain", 7001)
    assert (seen.role, seen.port, seen.tls_port) == (Role.PRIMARY, 7001, 7101)
    places = {str(each.place) for each in seen.followers}
    assert places == {f"{address(version)}:{port}" for port in (7002, 7003)}
    assert all(each.online and each.idle in {0, 1} for each in seen.followers)
    assert len(seen.histories) == 1
    assert seen.sentinels == (Place(address(version), 0),)


@EACH
def test_a_replica_tells_whom_it_follows(version: str) -> None:
    seen = told(version, "tls", 7002)
    assert seen.following is not None
    assert seen.following.primary == Place(address(version), 7101)
    assert (seen.following.up, seen.following.syncing) == (True, False)
    assert seen.replicates_over_tls is True
    assert told(version, "plain", 7002).replicates_over_tls is False
    lost = told(version, "lost", 7002).following
    assert lost is not None
    assert (lost.up, lost.idle) == (False, None)


@EACH
def test_a_sentinel_tells_what_it_watches_and_with_whom(version: str) -> None:
    (watch,) = told(version, "plain", 27001).watches
    assert (watch.name, watch.quorum, watch.primary.place.port) == ("orders", 2, 7001)
    assert {each.place.port for each in watch.replicas} == {7002, 7003}
    assert {each.place.port for each in watch.sentinels} == {27002, 27003}
    assert len(told(version, "plain", 27001).sentinel_id) == 40


@EACH
def test_a_sentinel_tells_who_is_down(version: str) -> None:
    (watch,) = told(version, "killed", 27001).watches
    down = {each.place.port: each.down for each in (*watch.replicas, *watch.sentinels) if each.id}
    assert down == {7002: Down.NO, 7003: Down.YES, 27002: Down.NO, 27003: Down.YES}
    assert watch.primary.down is Down.NO


@EACH
def test_a_node_of_a_cluster_tells_of_all_of_them(version: str) -> None:
    cluster = told(version, "plain", 8001).cluster
    assert cluster is not None
    assert (cluster.ok, cluster.assigned, len(cluster.nodes)) == (True, SLOTS, 6)
    assert {each.bus for each in cluster.nodes} == {port + 10000 for port in CLUSTER}
    owners = [each for each in cluster.nodes if not each.primary]
    assert sum(slot_count(each.slots) for each in owners) == SLOTS
    assert next(each.place.port for each in cluster.nodes if each.id == cluster.me) == 8001


@EACH
def test_a_killed_primary_is_down_and_another_one_has_its_slots(version: str) -> None:
    cluster = told(version, "killed", 8002).cluster
    assert cluster is not None
    gone = next(each for each in cluster.nodes if each.place.port == 8001)
    assert (gone.down, gone.linked, gone.slots) == (Down.YES, False, ())
    assert cluster.assigned == SLOTS


@EACH
def test_a_server_alone_tells_of_nobody(version: str) -> None:
    seen = told(version, "plain", 9001)
    assert (seen.role, seen.following, seen.followers, seen.cluster) == (
        Role.PRIMARY,
        None,
        (),
        None,
    )
    assert (seen.watches, seen.sentinels) == ((), ())


@EACH
@pytest.mark.parametrize("state", ["plain", "tls", "killed", "lost"])
def test_what_is_stored_comes_back_as_it_was(version: str, state: str) -> None:
    for port in (*REPLICATION, *SENTINELS, *CLUSTER, 9001):
        seen = said(version, state, port)
        if seen is not None:
            assert seen_from_json(seen_json(seen)) == seen


def test_what_another_release_has_stored_is_nothing() -> None:
    seen = asdict(Seen(Role.PRIMARY))
    assert seen_from_json(seen) is not None
    assert seen_from_json({name: seen[name] for name in seen if name != "followers"}) is None
    assert seen_from_json({**seen, "role": "king"}) is None
    assert seen_from_json({}) is None


def test_nobody_is_asked_what_it_cannot_answer() -> None:
    assert questions(facts_with("port 6379")) == (("PUBSUB", "NUMSUB", HELLO),)
    assert ("CLUSTER", "NODES") in questions(facts_with("cluster-enabled yes"))
    assert ("CLUSTER", "NODES") not in questions(facts_with("cluster-enabled no"))
    lines = ("sentinel monitor one 10.0.0.1 6379 2", "sentinel monitor two 10.0.0.2 6379 2")
    asked = questions(facts_with(*lines, sentinel=True))
    assert {each for each in asked if each[1] == "SLAVES"} == {
        ("SENTINEL", "SLAVES", "one"),
        ("SENTINEL", "SLAVES", "two"),
    }


LINES = """\
aa 10.0.0.1:6379@16379,cache-1.ex,shard-id=5f3 myself,master - 0 0 3 connected 0-99 200 [9-<-b]
bb [2001:db8::7]:6379@16379 slave aa 0 1 3 connected
cc 10.0.0.3:0@16379,,tls-port=6380,shard-id=5f3 master,fail? - 0 1 2 disconnected 100-199
dd :0@0 master,noaddr - 0 1 0 disconnected
ee 10.0.0.5:6379@16379 handshake - 0 0 0 connected
"""


def test_every_form_of_a_cluster_s_line_is_read() -> None:
    cluster = cluster_seen(LINES, "cluster_state:fail\r\n")
    assert cluster is not None
    aa, bb, cc, dd, ee = cluster.nodes
    assert (aa.hostname, aa.slots) == ("cache-1.ex", ((0, 99), (200, 200)))
    assert (bb.place, bb.hostname, bb.primary) == (Place("2001:db8::7", 6379), "", "aa")
    assert (cc.down, cc.hostname, cc.bus) == (Down.SUSPECTED, "", 16379)
    assert (dd.down, dd.place) == (Down.YES, Place("", 0))
    assert ee.down is Down.SUSPECTED
    assert (cluster.ok, cluster.assigned) == (False, 201)


@pytest.mark.parametrize(
    ("lines", "changed", "born"),
    [
        (("tls-cluster yes",), 1, True),
        (("tls-cluster yes",), 2_000_000_000, False),
        (("tls-cluster yes",), None, False),
        ((), 1, False),
    ],
)
def test_a_bus_is_encrypted_from_its_birth_where_the_file_is_older_than_the_process(
    lines: tuple[str, ...], changed: int | None, born: bool
) -> None:
    seen = said("redis-7.0", "tls", 8002, *lines, changed=changed)
    assert seen is not None
    assert seen.bus_over_tls is True
    assert seen.bus_born_over_tls is born
