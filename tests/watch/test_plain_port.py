"""Who is on the plain port, from what server and kernel say: the texts are a 6.0 node's."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from addons.encryption.plaintext import PlainConnection, end_connections, plain_sample
from instances.nodeconf.client_list import Place
from instances.nodeconf.command import Command, Result
from instances.remote.errors import ServerRefused

TEXTS = Path(__file__).parents[1] / "nodeconf/clients"
LISTED = (TEXTS / "redis-6.0.txt").read_text()
SOCKETS = (TEXTS / "redis-6.0.ss").read_text()
OWN = 19
"""The asker's number in that list; it was gone from the kernel's table."""
REFUSED = ServerRefused("cache-1", "no permission", reason="NoPermission")


class Node:
    """A session that answers from texts."""

    def __init__(self, *answers: Any, sockets: str = SOCKETS, at_first: str = "") -> None:
        self.server = SimpleNamespace(port=6379, tls_port=6380, pid=59)
        self.facts = SimpleNamespace(processes=[SimpleNamespace(pid=59)])
        self.host = self
        self.answers, self.sockets = list(answers), [at_first or sockets, sockets]
        self.asked: list[Any] = []

    def redis(self) -> "Node":
        return self

    def pipeline(self, commands: list[Any]) -> list[Any]:
        self.asked += commands
        return self.answers

    def execute(self, *words: str) -> None:
        self.asked.append(words)

    def run(self, command: Command) -> Result:
        self.asked.append(command.argv)
        return Result(0, self.sockets.pop(0).encode(), b"")

    def forget_server(self) -> None:
        self.asked.append("forget")


def sample(node: Node) -> Any:
    return plain_sample(node)  # type: ignore[arg-type]


def test_before_6_2_the_kernel_says_who_and_the_server_what_they_are() -> None:
    found = sample(Node(["port", "6379"], OWN, LISTED))
    assert len(found.connections) == len(SOCKETS.splitlines())
    named = {each.peer.port: each for each in found.connections}[38130]
    assert (named.number, named.name, named.user) == (6, 'shop=web]|[x;"y"', "default")
    assert named.local == Place("10.77.0.1", 6379)
    assert found.nameless is None


def test_the_kernel_is_asked_again_for_a_client_that_it_left_out() -> None:
    first, _left_out, *rest = SOCKETS.splitlines(keepends=True)
    node = Node(["port", "6379"], OWN, LISTED, at_first=first + "".join(rest))
    found = sample(node).connections
    assert len(found) == len(SOCKETS.splitlines())
    assert found[-1].peer.port == 38148
    assert all(each.number for each in found)


def test_the_kernel_is_asked_once_if_it_knows_all_clients_on_either_port() -> None:
    listed = "".join(line for line in LISTED.splitlines(keepends=True) if "id=19 " not in line)
    secured = SOCKETS.replace(
        "10.77.0.1:6379             10.77.0.254:38156", "10.77.0.1:6380 10.77.0.254:38156"
    )
    node = Node(["port", "6379"], OWN, listed, sockets=secured)
    assert len(sample(node).connections) == len(SOCKETS.splitlines()) - 1
    assert sum(words[0] == "ss" for words in node.asked) == 1


def test_a_connection_that_came_meanwhile_has_no_name_yet() -> None:
    late = "0 0 10.77.0.1:6379 10.77.0.254:40000"
    found = sample(Node(["port", "6379"], OWN, LISTED, sockets=f"{SOCKETS}{late}\n"))
    assert found.connections[-1] == PlainConnection(
        Place("10.77.0.254", 40000), Place("10.77.0.1", 6379)
    )


def test_the_panel_s_own_connection_is_left_out() -> None:
    own = "0 0 127.0.0.1:6379 127.0.0.1:59992"
    found = sample(Node(["port", "6379"], OWN, LISTED, sockets=own))
    assert found.connections == ()
    text = (TEXTS / "redis-7.0.txt").read_text()
    peers = {str(each.peer) for each in sample(Node(["port", "6379"], 18, text)).connections}
    assert len(peers) == 12
    assert "127.0.0.1:60004" not in peers


def test_a_server_that_hides_its_clients_is_asked_no_more_than_once() -> None:
    for answers in ((OWN, REFUSED), (REFUSED, LISTED)):
        node = Node(["port", "6379"], *answers)
        found = sample(node)
        assert len(found.connections) == len(SOCKETS.splitlines())
        assert {each.number for each in found.connections} == {None}
        assert found.nameless.code == "NoPermission"
        assert "without name, user and age: no permission." in found.nameless.message
        assert node.asked[-3:-1] == [("QUIT",), "forget"], "its own would be among them"


def test_another_server_s_clients_on_another_address_are_left_out() -> None:
    other = '0 0 10.77.0.9:6379 10.77.0.254:1 users:(("redis-server",pid=77,fd=8))'
    saving = '0 0 10.77.0.1:6379 10.77.0.254:2 users:(("redis-rdb-bgsave",pid=99,fd=8))'
    waiting = "0 0 10.77.0.1:6379 10.77.0.254:3"
    node = Node(["port", "6379"], REFUSED, REFUSED, sockets=f"{other}\n{saving}\n{waiting}\n")
    node.facts.processes.append(SimpleNamespace(pid=77))
    assert [each.peer.port for each in sample(node).connections] == [2, 3]


@pytest.mark.parametrize(
    ("told", "port"), [(["port", "6385"], 6385), (["port", "0"], 0), (REFUSED, 6379), ([], 6379)]
)
def test_the_port_is_the_running_server_s_or_that_of_its_file(told: Any, port: int) -> None:
    assert sample(Node(told, OWN, "")).port == port


@pytest.mark.parametrize(
    ("listening", "known"), [((6379,), True), ((6379, 6385), False), ((), False)]
)
def test_a_server_that_wants_a_certificate_has_no_plain_port_if_it_listens_on_none(
    listening: tuple[int, ...], known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_node: Node) -> Node:
        raise ServerRefused("cache-1", "it wants a certificate", reason="TlsOnly")

    monkeypatch.setattr(Node, "redis", refuse)
    node = Node()
    node.server.tls_port = 6379
    node.facts.listening = [SimpleNamespace(port=port, pid=59) for port in listening]
    node.facts.listening.append(SimpleNamespace(port=22, pid=1))
    if known:
        assert sample(node).port == 0
    else:
        with pytest.raises(ServerRefused):
            sample(node)


def test_who_may_not_end_connections_is_told() -> None:
    here = PlainConnection(Place("10.0.0.1", 5), Place("10.0.0.2", 6379), number=7)
    with pytest.raises(ServerRefused):
        end_connections(Node(1, REFUSED), [here, here])  # type: ignore[arg-type]


def test_a_connection_is_ended_by_its_number_or_else_its_address() -> None:
    node = Node(1, 0)
    known = PlainConnection(Place("10.0.0.1", 5), Place("10.0.0.2", 6379), number=7)
    nameless = PlainConnection(Place("fd00::1", 5), Place("fd00::2", 6379))
    assert end_connections(node, [known, nameless]) == 1  # type: ignore[arg-type]
    assert node.asked == [("CLIENT", "KILL", "ID", "7"), ("CLIENT", "KILL", "ADDR", "[fd00::1]:5")]
