"""What a preview says of clusters that cannot change how their nodes speak; no host is needed."""

from dataclasses import replace

import pytest

from addons.encryption.cluster import Company, bus_directives, bus_line, cluster_of
from addons.encryption.cluster_checks import (
    crossing_obstacles,
    redirect_warnings,
    setting_obstacles,
)
from addons.encryption.history import History, history_of
from addons.encryption.spec import EncryptionSpec
from addons.session import NodeSession
from instances.neighbours import Neighbour
from instances.nodeconf.client_list import Place
from instances.nodeconf.facts_parts import ListeningPort
from instances.nodeconf.topology.seen import ClusterNode, ClusterSeen, Down, Role, Seen
from instances.runtime import RuntimeFacts
from tests.acceptance.test_decisions import session

ON, OFF = EncryptionSpec(tls_cluster="on"), EncryptionSpec()
CONFIG = {"cluster-node-timeout": "15000", "cluster-port": "0", "port": "6379"}
PLAIN = History(plain_port=6379)


def member(number: str, *, down: Down = Down.NO, linked: bool = True) -> ClusterNode:
    place = Place(f"10.0.0.{number}", 6379)
    return ClusterNode(number, place, 16379, "", "", down, linked, (), 1)


FELLOWS = (member("1"), member("2"), member("3"))


def node(
    *fellows: ClusterNode,
    ok: bool = True,
    version: tuple[int, ...] = (7, 0),
    config: dict[str, str] | None = None,
    **info: str,
) -> NodeSession:
    seen = ClusterSeen("1", ok, 16384, fellows or FELLOWS)
    runtime = RuntimeFacts(
        config=CONFIG | (config or {}),
        info={"cluster_enabled": "1", "role": "master"} | info,
        seen=Seen(Role.PRIMARY, cluster=seen),
    )
    return with_bus(session(runtime=runtime, version=version), 16379)


def with_bus(there: NodeSession, port: int) -> NodeSession:
    heard = ListeningPort("*", port, "redis-server", there.server.pid)
    there.facts = replace(there.facts, listening=(heard,))
    return there


def company(*, without: str = "", more: str = "") -> Company:
    numbers = [n for n in ("1", "2", "3") if n != without] + ([more] if more else [])
    return Company({n: ClusterSeen(n, ok=True, assigned=16384, nodes=()) for n in numbers})


def crossing(
    there: NodeSession,
    among: Company | None = None,
    spec: EncryptionSpec | None = ON,
    *,
    former: EncryptionSpec | None = None,
    live: bool = True,
) -> list[str]:
    among = among or company()
    found = list(crossing_obstacles(there, among, history_of(there), former, spec, live=live))
    assert all(reason.next_step for reason in found)
    return [reason.code for reason in found]


def asked(there: NodeSession, spec: EncryptionSpec) -> list[str]:
    found = list(setting_obstacles(there, spec))
    assert all(reason.next_step for reason in found)
    return [reason.code for reason in found]


def test_nothing_stands_in_the_way_of_a_cluster_that_is_well() -> None:
    assert crossing(node()) == []
    assert asked(node(), ON) == []


def test_what_does_not_cross_is_not_asked_to_be_well() -> None:
    assert crossing(node(ok=False), spec=OFF) == []


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (node(ok=False), "ClusterDown"),
        (node(member("1"), member("2", down=Down.YES), member("3")), "MemberDown"),
        (node(member("1"), member("2", down=Down.SUSPECTED), member("3")), "MemberDown"),
        (node(member("1"), member("2", linked=False), member("3")), "MemberDown"),
        (node(role="slave", master_link_status="down"), "LinkDown"),
        (node(config={"cluster-node-timeout": "1000"}), "NodeTimeoutShort"),
        (node(config={"cluster-announce-bus-port": "26379"}), "PortsAnnounced"),
    ],
)
def test_a_cluster_that_is_not_well_stays_as_it_is(there: NodeSession, reason: str) -> None:
    assert crossing(there) == [reason]


def test_a_member_of_the_cluster_outside_the_group_would_be_cut_off() -> None:
    assert crossing(node(), company(without="3")) == ["ClusterStrangers"]


def known(there: NodeSession, **neighbours: Neighbour) -> NodeSession:
    """The node, with some of its cluster managed in other groups, by their ids."""
    there.brief.neighbours = {number.strip("_"): each for number, each in neighbours.items()}
    return there


def test_a_member_that_is_managed_elsewhere_is_named() -> None:
    beside = known(node(), _3=Neighbour(3, "node-3", 2, "others", "us", beside=True))
    assert crossing(beside, company(without="3")) == ["ClusterOtherGroup"]
    away = known(node(), _3=Neighbour(3, "node-3", 2, "cache", "eu", beside=False))
    history = history_of(away)
    (reason,) = crossing_obstacles(away, company(without="3"), history, None, ON, live=True)
    assert reason.code == "ClusterElsewhere"
    assert "node-3 (eu / cache) is of its cluster in another environment" in reason.message


def test_clients_in_plaintext_that_another_environment_has_are_thought_of() -> None:
    away = known(node(), _3=Neighbour(3, "node-3", 2, "cache", "eu", beside=False))
    alone = replace(ON, plaintext="off")
    (warning,) = redirect_warnings(away, alone, PLAIN)
    assert (warning.code, "eu / cache" in warning.message) == ("ClusterPlainClients", True)
    assert list(redirect_warnings(away, ON, PLAIN)) == []
    assert list(redirect_warnings(known(node()), alone, PLAIN)) == []


def over_tls(**config: str) -> NodeSession:
    """A node that the add-on has led to TLS."""
    there = node(config={"tls-cluster": "yes"} | config)
    there.brief.baseline = {"runtime": {"values": {"tls-cluster": "no"}}}
    return there


def test_settings_that_leave_the_bus_alone_need_no_more_than_the_own_nodes() -> None:
    among = company(without="3")
    harder = replace(ON, tls_minimum="1.3")
    assert crossing(over_tls(), among, harder, former=ON) == []
    # Somebody has set it back: the others know it over TLS, and get it back so.
    assert crossing(over_tls(**{"tls-cluster": "no"}), among, former=ON) == []
    assert crossing(over_tls(), among, OFF, former=ON) == ["ClusterStrangers"]
    assert crossing(over_tls(), among, None, former=ON) == ["ClusterStrangers"]
    went_back = over_tls(**{"tls-cluster": "no"})
    assert crossing(went_back, among, former=OFF) == ["ClusterStrangers"]


def test_a_node_that_has_met_nobody_yet_has_nobody_to_lose() -> None:
    alone = node(member("1"), ok=False)
    fellow = ClusterSeen("2", ok=False, assigned=0, nodes=(member("2"),))
    assert crossing(alone, Company({"1": cluster_of(alone), "2": fellow})) == []
    # One that is to join a cluster does not stand in its way either.
    assert crossing(node(), Company({**company().met, "4": fellow})) == []


def test_a_group_of_two_clusters_is_not_one() -> None:
    assert crossing(node(), company(more="4")) == ["TwoClusters"]


def test_a_cluster_half_way_through_an_upgrade_waits_for_its_end() -> None:
    mixed = company()
    mixed.modern = {True, False}
    assert crossing(node(), mixed) == ["MixedVersions"]


def test_nodes_that_would_have_to_restart_cannot_change_at_one_moment() -> None:
    assert crossing(node(), live=False) == ["ClusterNeedsLive"]


def test_a_node_that_does_not_tell_of_its_cluster_is_not_changed() -> None:
    silent = replace(node().runtime, seen=Seen(Role.PRIMARY))
    assert crossing(session(runtime=silent)) == ["ClusterSilent"]


def test_the_tls_port_has_to_be_open_to_the_cluster_itself() -> None:
    narrow = replace(ON, networks=("10.0.0.1/32", "10.0.0.2/32"))
    assert crossing(node(), spec=narrow) == ["NodeShutOut"]
    assert crossing(node(), spec=replace(ON, networks=("10.0.0.0/24",))) == []


def test_a_bus_that_listens_elsewhere_is_not_moved_by_chance() -> None:
    assert crossing(with_bus(node(), 17000)) == ["BusPortUnknown"]


def test_tls_cluster_is_for_clusters_and_tls_replication_for_others() -> None:
    alone = session(runtime=RuntimeFacts(info={"cluster_enabled": "0"}))
    assert asked(alone, ON) == ["NoCluster"]
    assert asked(node(), replace(ON, tls_replication="on")) == ["Cluster"]


@pytest.mark.parametrize(
    ("version", "spec", "reasons"),
    [
        ((6, 2), OFF, []),
        ((6, 2), ON, ["ClusterTooOld"]),
        ((7, 0), OFF, ["ClusterRedirects"]),
        ((7, 0), ON, []),
        ((7, 2), OFF, []),
        ((8, 0), ON, []),
    ],
)
def test_what_a_version_can_decides_what_may_be_asked(
    version: tuple[int, ...], spec: EncryptionSpec, reasons: list[str]
) -> None:
    assert asked(node(version=version), spec) == reasons


def test_the_bus_stays_where_it_is_now_and_after_a_restart() -> None:
    there = node()
    told = bus_directives(ON, there.facts, there.runtime, PLAIN)
    assert list(told.items()) == [
        ("cluster-announce-bus-port", "16379"),
        ("tls-replication", "yes"),
        ("tls-cluster", "yes"),
    ]
    assert bus_line(ON, there.facts, there.runtime, PLAIN) == {"cluster-port": "16379"}


def test_a_bus_port_of_the_operators_own_is_kept() -> None:
    there = with_bus(node(config={"cluster-port": "7000"}), 7000)
    assert bus_line(ON, there.facts, there.runtime, PLAIN) == {"cluster-port": "7000"}


def test_what_a_killed_worker_left_announced_is_not_taken_for_the_bus() -> None:
    there = node(config={"cluster-announce-bus-port": "1"})
    moved = replace(PLAIN, bus_moved=True)
    told = bus_directives(ON, there.facts, there.runtime, moved)
    assert told["cluster-announce-bus-port"] == "16379"


def test_without_tls_cluster_nothing_of_a_cluster_is_touched() -> None:
    there = node()
    assert bus_directives(OFF, there.facts, there.runtime, PLAIN) == {}
    assert bus_line(OFF, there.facts, there.runtime, PLAIN) == {}


def test_back_again_the_bus_is_no_longer_pinned() -> None:
    there = node()
    moved = replace(PLAIN, bus_moved=True)
    assert bus_directives(OFF, there.facts, there.runtime, moved) == {
        "tls-replication": "no",
        "tls-cluster": "no",
        "cluster-announce-bus-port": "0",
    }
    assert bus_line(OFF, there.facts, there.runtime, moved) == {"cluster-port": None}
