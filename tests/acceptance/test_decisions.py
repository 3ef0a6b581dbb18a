"""What a preview decides of servers that are rare in a lab; no host is needed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from addons.encryption.adopt import observe
from addons.encryption.copies import copy_obstacles
from addons.encryption.history import history_of
from addons.encryption.issuer import Issuer
from addons.encryption.links import watch_obstacles
from addons.encryption.obstacles import (
    install_obstacles,
    install_warnings,
    node_obstacles,
    uninstall_obstacles,
)
from addons.encryption.persistence import keys_lost
from addons.encryption.spec import EncryptionSpec
from addons.encryption.wanted import Wanted, needs_password, wanted_of
from addons.session import NodeSession
from instances.nodeconf.facts import NodeFacts, parse_facts
from instances.nodeconf.facts_parts import ListeningPort
from instances.nodeconf.topology.known import Known
from instances.nodeconf.topology.seen import Role, Seen
from instances.reason import Reason
from instances.remote.local import LocalHost
from instances.runtime import RuntimeFacts
from tests.remote.redis_server import Authority, running_redis

ANSWER = Path(__file__).parents[1] / "nodeconf/facts/bookworm-nftables.out"
ASKED = RuntimeFacts(open=False)
OPEN = RuntimeFacts(open=True)
UNKNOWN = RuntimeFacts()
DEFAULTS = EncryptionSpec()


@cache
def _facts() -> NodeFacts:
    return parse_facts(ANSWER.read_bytes())


class Followed:
    """A connection to a server that a replica follows on its plain port."""

    @staticmethod
    def pipeline(_commands: object) -> list[Any]:
        listed = (
            "id=7 addr=10.0.0.2:40001 laddr=10.0.0.1:6379 name= age=5 idle=0 flags=S user=default"
        )
        return [["port", "6379"], 9, listed]


class Watched:
    """One to a server that a Sentinel watches."""

    @staticmethod
    def pipeline(_commands: object) -> list[Any]:
        name = "name=sentinel-0dd5a8a4-cmd"
        return [["port", "6379"], 9, f"id=7 addr=10.0.0.9:4 laddr=10.0.0.1:6379 {name} flags=N"]


FOLLOWED = Followed()


def session(
    *lines: str, runtime: RuntimeFacts = ASKED, fellows: Sequence[Known] = (), **server: Any
) -> NodeSession:
    """As much of a node as decisions look at: its server's configuration and facts."""
    found = _facts()
    config = replace(found.server.config, content="\n".join([*lines, ""]).encode(), includes={})
    changed = replace(found.server, config=config, exec_start=(), **server)
    node = SimpleNamespace(
        name="redis-1",
        brief=SimpleNamespace(
            client_addresses=(str(found.addresses[0].ip),),
            beside=(),
            baseline={},
            begun={},
            fellows=tuple(fellows),
            neighbours={},
        ),
        facts=replace(found, server=changed),
        server=changed,
        runtime=runtime,
        now=lambda: datetime.fromtimestamp(found.clock, UTC),
        host=None,
        redis=lambda: FOLLOWED,
    )
    return cast("NodeSession", node)


def wanted(node: NodeSession, spec: EncryptionSpec) -> Wanted:
    return wanted_of(
        spec,
        node.facts,
        node.runtime,
        addresses=node.brief.client_addresses,
        prefix="redoubt:encryption:1:",
        history=history_of(node),
    )


def obstacles(node: NodeSession, spec: EncryptionSpec = DEFAULTS) -> list[str]:
    found = list(install_obstacles(node, spec, wanted(node, spec), history_of(node), ours=False))
    assert all(reason.next_step for reason in found)
    return [reason.code for reason in found]


BIND = EncryptionSpec(bind="node")
ACLFILE = ("bind 127.0.0.1", "aclfile /etc/redis/users.acl")


@pytest.mark.parametrize(
    ("lines", "runtime", "needed"),
    [
        (ACLFILE, OPEN, False),
        (ACLFILE, ASKED, True),
        (ACLFILE, UNKNOWN, None),
        ((*ACLFILE, "requirepass x"), UNKNOWN, None),
        (("requirepass x",), ASKED, True),
        (("requirepass x",), UNKNOWN, True),
        (("user default on nopass ~* +@all",), UNKNOWN, False),
        # At the next start the file counts, until then the server.
        (("requirepass x",), OPEN, False),
        (("port 6379",), ASKED, False),
    ],
)
def test_a_password_counts_where_it_is_asked_for_now_and_after_a_restart(
    lines: tuple[str, ...], runtime: RuntimeFacts, needed: bool | None
) -> None:
    node = session(*lines, runtime=runtime)
    assert needs_password(node.server, node.runtime) is needed


@pytest.mark.parametrize(("runtime", "closed"), [(OPEN, True), (UNKNOWN, True), (ASKED, False)])
def test_a_new_address_leaves_the_plain_port_open_only_behind_a_password(
    runtime: RuntimeFacts, closed: bool
) -> None:
    node = session(*ACLFILE, runtime=runtime)
    decided = wanted(node, BIND)
    assert any(rule.action == "drop" for rule in decided.rules) is closed
    told = {
        each.code: each.message for each in install_warnings(node, BIND, decided, history_of(node))
    }
    assert ("a rule closes it" in told["PlainPortExposed"]) is closed
    assert ("its password protects it" in told["PlainPortExposed"]) is not closed


def test_protected_mode_and_a_missing_password_are_told_of_an_open_aclfile() -> None:
    node = session(*ACLFILE, runtime=OPEN)
    assert "ProtectedMode" in obstacles(node, BIND)
    assert "ProtectedMode" not in obstacles(session(*ACLFILE, runtime=ASKED), BIND)
    warned = install_warnings(node, BIND, wanted(node, BIND), history_of(node))
    assert "NoPassword" in [each.code for each in warned]


def test_no_restart_is_planned_of_a_server_without_a_unit() -> None:
    hidden = replace(ASKED, config_refused=Reason("CommandRenamed", ""))
    restart = EncryptionSpec(apply="restart")
    assert "NoUnit" not in obstacles(session(unit=""))
    assert "NoUnit" not in obstacles(session(runtime=hidden))
    assert "NoUnit" in obstacles(session(unit="", runtime=hidden))
    assert "NoUnit" in obstacles(session(unit=""), restart)
    assert [x.code for x in uninstall_obstacles(session(unit=""), restart, 6379)] == ["NoUnit"]
    assert list(uninstall_obstacles(session(unit=""), DEFAULTS, 6379)) == []


def test_another_tls_port_must_be_free_where_encryption_is_on_already() -> None:
    node = session("tls-port 6380")
    own = node.server.pid
    listening = [
        ListeningPort("*", 6379, "redis-server", own),
        ListeningPort("*", 6380, "redis-server", own),
        ListeningPort("*", 6381, "redis-server", 4711),
        # The server's own, for its cluster's bus, and one of its two on another's address.
        ListeningPort("*", 16379, "redis-server", own),
        ListeningPort("127.0.0.1", 6382, "redis-server", own),
        ListeningPort("10.0.0.7", 6382, "haproxy", 4712),
    ]
    node.facts = replace(node.facts, listening=tuple(listening))
    free, taken = (6380, 7443), (6381, 6382, 16379)
    for port, expected in [*((port, False) for port in free), *((port, True) for port in taken)]:
        spec = EncryptionSpec(tls_port=port)
        found = install_obstacles(node, spec, wanted(node, spec), history_of(node), ours=True)
        assert ("PortTaken" in {reason.code for reason in found}) is expected, port


def test_the_plain_port_is_free_for_tls_once_it_is_closed() -> None:
    node = session("bind 127.0.0.1")
    assert "SamePort" in obstacles(node, EncryptionSpec(tls_port=6379))
    assert obstacles(node, EncryptionSpec(tls_port=6379, plaintext="off")) == []


@pytest.mark.parametrize(
    "info", [{"role": "slave"}, {"connected_slaves": "1"}, {"cluster_enabled": "1"}]
)
def test_servers_that_speak_plaintext_to_each_other_keep_their_plain_port(
    info: dict[str, str],
) -> None:
    node = session(runtime=replace(ASKED, info=info))
    assert "PlainLinks" in obstacles(node, EncryptionSpec(plaintext="off"))
    assert "PlainLinks" not in obstacles(node)


def test_certificates_are_not_moved_live_where_no_port_would_be_open_meanwhile() -> None:
    config = {"port": "0", "tls-port": "6380", "tls-cert-file": "/etc/redis/tls/server/server.crt"}
    only, moved = EncryptionSpec(plaintext="off"), EncryptionSpec(plaintext="off", directory="/a/b")
    for version, spec, live in [
        ((6, 2), only, True),
        ((6, 2), moved, False),
        ((7, 0), moved, True),
    ]:
        node = session(runtime=replace(ASKED, config=config), version=version)
        assert wanted(node, spec).live is live


WATCHER = Known(7, "sentinel-1", frozenset({"10.0.0.9"}), seen=Seen(Role.SENTINEL))
WHOLE = EncryptionSpec(plaintext="off", tls_replication="on", tls_port=6379)


def watched(*fellows: Known, spec: EncryptionSpec) -> list[str]:
    """Why settings are refused on a server that a Sentinel at 10.0.0.9 watches."""
    node = session(fellows=fellows)
    node.redis = Watched
    return [each.code for each in watch_obstacles(node, spec, wanted(node, spec), history_of(node))]


def test_who_is_watched_speaks_plaintext_or_tls_to_everybody() -> None:
    assert watched(WATCHER, spec=DEFAULTS) == []
    assert watched(WATCHER, spec=WHOLE) == []
    for half in (
        {"plaintext": "keep", "tls_port": 6380},
        {"tls_replication": "off"},
        {"tls_port": 6380},
    ):
        assert watched(WATCHER, spec=replace(WHOLE, **half)) == ["SentinelStates"], half
    assert watched(WATCHER, spec=replace(WHOLE, apply="restart")) == ["SentinelNeedsLive"]


def test_a_sentinel_that_is_not_of_the_group_would_be_cut_off() -> None:
    assert watched(spec=DEFAULTS) == []
    assert watched(spec=WHOLE) == ["SentinelWatches"]


def test_links_of_the_group_alone_are_made_anew_on_the_port_that_they_have() -> None:
    node = session(runtime=replace(ASKED, info={"connected_slaves": "1"}))
    assert "PlainLinks" in obstacles(node, WHOLE)
    node.brief.fellows = (Known(2, "replica", frozenset({"10.0.0.2"})),)
    assert "PlainLinks" not in obstacles(node, WHOLE)
    assert "PlainLinks" in obstacles(node, replace(WHOLE, tls_port=6380))


def test_a_server_left_with_no_port_at_all_is_not_uninstalled() -> None:
    node = session("port 0", "tls-port 6380")
    found = uninstall_obstacles(node, DEFAULTS, history_of(node).plain_port)
    assert [each.code for each in found] == ["NoPlainPort"]


def test_a_server_that_cannot_be_asked_over_tls_is_not_changed() -> None:
    mute = Reason("TlsOnly", "redis-1: it has no plain port", "Give it one.")
    node = session("port 0", "tls-port 6380", runtime=replace(UNKNOWN, config_refused=mute))
    assert mute in node_obstacles(node, node.now())


def test_a_server_without_a_plain_port_can_be_adopted(
    local_host: LocalHost, tmp_path: Path
) -> None:
    theirs = Authority()
    ours = cast("Issuer", type("Ours", (), {"trusted": Authority().pem}))
    with running_redis(tmp_path, theirs) as server:
        node = session("port 0", "tls-port 6380")
        node.host = local_host
        said, observation = observe(node, server.tls_port, ours)
    assert observation["condition"]["reason"] == "Adopted"
    assert "TLSv1.3" in said[0]


@pytest.fixture
def local_host(tmp_path: Path) -> Any:
    opened = LocalHost.open(lock_path=str(tmp_path / "lock"))
    yield opened
    opened.close()


KEYS = {"role": "master", "db0": "keys=3,expires=0,avg_ttl=0", "db7": "keys=1,expires=0"}


@pytest.mark.parametrize(
    ("config", "info", "told"),
    [
        ({"save": "", "appendonly": "no"}, KEYS, ["DataLost"]),
        (
            {"save": "", "appendonly": "no"},
            {**KEYS, "connected_slaves": "1"},
            ["DataLost", "Empty"],
        ),
        ({"save": "", "appendonly": "no"}, {"role": "master"}, []),
        ({"save": "", "appendonly": "no"}, {**KEYS, "role": "slave"}, []),
        ({"save": "", "appendonly": "yes"}, KEYS, []),
        ({"save": "3600 1", "appendonly": "no"}, KEYS, []),
    ],
)
def test_a_restart_says_what_it_would_lose(
    config: dict[str, str], info: dict[str, str], told: list[str]
) -> None:
    node = session("replicaof 10.0.0.1 6379", runtime=replace(ASKED, config=config, info=info))
    restart = EncryptionSpec(apply="restart")
    decided = wanted(node, restart)
    warned = {x.code for x in install_warnings(node, restart, decided, history_of(node))}
    assert ("DataLost" in warned) is ("DataLost" in told)
    assert ("WouldComeBackEmpty" in obstacles(node, restart)) is ("Empty" in told)
    assert "WouldComeBackEmpty" not in obstacles(node)


PRIMARY = {"role": "master", "connected_slaves": "2", "repl_backlog_size": "1048576"}
REPLICA = {"role": "slave", "master_host": "10.0.0.1", "master_link_status": "down"}


@pytest.mark.parametrize(
    ("info", "version", "told"),
    [
        (REPLICA, (7, 0, 15), "LinkDown"),
        (REPLICA | {"master_link_status": "up"}, (7, 0, 15), ""),
        (PRIMARY | {"instantaneous_input_kbps": "511.9"}, (7, 0, 15), ""),
        (PRIMARY | {"instantaneous_input_kbps": "512.1"}, (7, 0, 15), "BacklogTooSmall"),
        (PRIMARY | {"instantaneous_input_kbps": "900.0"}, (6, 0, 16), ""),
        (
            PRIMARY | {"connected_slaves": "0", "instantaneous_input_kbps": "900.0"},
            (7, 0, 15),
            "",
        ),
    ],
)
def test_no_restart_where_the_copies_would_suffer(
    info: dict[str, str], version: tuple[int, ...], told: str
) -> None:
    node = session(runtime=replace(ASKED, info=info), version=version)
    assert [reason.code for reason in copy_obstacles(node)] == [told] * bool(told)
    restart = EncryptionSpec(apply="restart")
    assert (told in obstacles(node, restart)) is bool(told)
    if told == "BacklogTooSmall":
        assert "repl-backlog-size 4194304" in next(copy_obstacles(node)).next_step


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        (('save ""',), 4),
        ((), 0),
        (("save 900 1",), 0),
        (('save ""', "appendonly yes"), 0),
    ],
)
def test_where_config_is_refused_the_file_tells_what_is_written_down(
    lines: tuple[str, ...], lost: int
) -> None:
    assert keys_lost(session(*lines, runtime=replace(ASKED, info=KEYS))) == lost
