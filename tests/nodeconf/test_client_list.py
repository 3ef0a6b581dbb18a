"""Who is connected. The texts in tests/nodeconf/clients are real ones, of nodes of the lab.

To each server came the same clients: one with a strange name, one whose non-ASCII name was
refused, users `shop` and `o=dd"us\\er`, subscribers (one over RESP3), one that is blocked, one that
monitors, one that tells its library, one that says nothing, one over IPv6, one over the Unix
socket, and who asked.
"""

from collections import Counter
from pathlib import Path

import pytest

from instances.nodeconf.client_list import Client, Kind, parse_clients, parse_sockets

TEXTS = Path(__file__).parent / "clients"
VERSIONS = ["redis-6.0", "redis-6.2", "redis-7.0", "redis-8.0", "valkey-8.1"]
NEW_ENOUGH_FOR_LIBRARIES = {"redis-8.0", "valkey-8.1"}


def clients(version: str) -> list[Client]:
    return parse_clients((TEXTS / f"{version}.txt").read_text())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_tcp_connection_is_read(version: str) -> None:
    found = clients(version)
    lines = (TEXTS / f"{version}.txt").read_text().splitlines()
    assert len(found) == sum("addr=/" not in line for line in lines)
    assert len({client.number for client in found}) == len(found)
    assert len({client.peer for client in found}) == len(found)
    assert all(client.number and client.peer.port for client in found)


@pytest.mark.parametrize("version", VERSIONS)
def test_strange_names_and_users_are_read_whole(version: str) -> None:
    found = clients(version)
    assert {client.name for client in found} == {"", 'shop=web]|[x;"y"'}
    assert {client.user for client in found} == {"default", "shop", 'o=dd"us\\er'}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_connection_is_for_is_told_by_its_flags(version: str) -> None:
    kinds = Counter(client.kind for client in clients(version))
    assert kinds.pop(Kind.REPLICA, 0) == (1 if version == "redis-6.2" else 0)
    assert kinds[Kind.PUBSUB] == 3
    assert kinds[Kind.MONITOR] == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_the_server_s_end_is_known_from_6_2_on(version: str) -> None:
    ends = {client.local.port if client.local else None for client in clients(version)}
    assert ends == ({None} if version == "redis-6.0" else {6379})


@pytest.mark.parametrize("version", VERSIONS)
def test_an_ipv6_address_comes_out_of_its_brackets(version: str) -> None:
    sixes = [client.peer for client in clients(version) if ":" in client.peer.address]
    assert [each.address for each in sixes] == ["fe80::5054:ff:fe4d:fe"]
    assert str(sixes[0]) == f"[fe80::5054:ff:fe4d:fe]:{sixes[0].port}"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_s_library_is_read_where_the_server_tells(version: str) -> None:
    told = {client.library for client in clients(version)}
    known = {"redis-py(django_v5) 5.0.1"} if version in NEW_ENOUGH_FOR_LIBRARIES else set()
    assert told == {"", *known}


def test_bytes_that_nothing_can_store_are_replaced() -> None:
    # As redis-py leaves the user b"caf\xe9\x07" (surrogateescape).
    (client,) = parse_clients("id=3 addr=10.0.0.1:5 laddr=10.0.0.2:6379 user=caf\udce9\x07\n")
    assert client.user == "caf\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "(error) something else",
        "id=4 addr=/run/redis/my redis.sock:0 laddr=/run/redis/my redis.sock:0 flags=U",
        "id=4 addr=?:0 flags=N",
        "id=4 addr= flags=N",
    ],
)
def test_what_is_no_tcp_client_is_left_out(line: str) -> None:
    assert parse_clients(line) == []


def test_the_kernel_s_table_is_read_with_who_holds_a_socket() -> None:
    sockets = parse_sockets((TEXTS / "redis-6.0.ss").read_text())
    assert {each.local.port for each in sockets} == {6379}
    assert {each.holders for each in sockets} == {frozenset({59})}
    # The server names no zone (%eth0), so the two agree without.
    peers = {each.peer for each in sockets}
    told = {client.peer for client in clients("redis-6.0")}
    assert peers <= told
    assert len(told - peers) == 1, "the asker had gone again"


def test_a_socket_may_have_several_holders_or_none() -> None:
    forked = '0 0 10.0.0.2:6379 [::ffff:10.0.0.1]:5 users:(("redis-server",pid=9,fd=8),("x",pid=7))'
    waiting = "0      0      10.0.0.2:6379      10.0.0.1:6"
    first, second = parse_sockets(f"{forked}\n{waiting}\n\nnonsense\n")
    assert (str(first.peer), first.holders) == ("10.0.0.1:5", {9, 7})
    assert (str(second.peer), second.holders) == ("10.0.0.1:6", frozenset())
