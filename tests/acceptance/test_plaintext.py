"""Who still speaks plaintext: right to the connection, on each version."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import pytest
from django.utils import timezone

from addons.encryption.models import PlainPort, PlaintextClient
from addons.encryption.plaintext import (
    PlainConnection,
    end_connections,
    plain_connections,
    plain_sample,
)
from addons.encryption.plaintext_seen import Sampled, sampled_of
from addons.runs.briefs import briefs_of, facts_read
from addons.session import NodeSession
from addons.watch.observe import nodes_observe
from instances.errors import DomainError
from instances.remote.ssh import SshHost
from tests.acceptance.callers import KINDS, NAMES, USER, Callers, callers
from tests.acceptance.panel import succeeded
from tests.acceptance.photograph import cli, shell
from tests.acceptance.stage import Stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

USUAL = ["cache", "legacy"]
VERSIONS = [
    pytest.param(name, marks=[] if name in USUAL else [pytest.mark.long])
    for name in (*USUAL, "six-two", "trixie", "valkey")
]
OVER_TLS = 3


class Scene:
    """A node with the add-on on it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        stage.register(name)
        stage.panel.install(name)

    @contextmanager
    def session(self) -> Iterator[NodeSession]:
        """The node, reached as a run or a look reaches it."""
        row = self.stage.panel.installed(self.name)
        brief = briefs_of(row.installation, [row.node])[row.node_id]
        assert not isinstance(brief.target, DomainError)
        host = SshHost.open(brief.target)
        session = NodeSession(
            brief=brief,
            host=host,
            run=0,
            attempt=0,
            facts=facts_read(host, brief),
            now=partial(datetime.now, UTC),
            issued=lambda _: None,
        )
        try:
            session.read_runtime()
            yield session
        finally:
            session.close()

    @contextmanager
    def callers(self) -> Iterator[Callers]:
        with callers(self.stage.lab, self.name, self.stage.address(self.name)) as came:
            came.come_over_tls(self.stage.root, OVER_TLS)
            yield came


@pytest.fixture
def scene(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(stage, request.param)
    yield made
    stage.panel.uninstall(request.param)


def told(connections: Sequence[PlainConnection]) -> set[tuple[str, int, str, str, str]]:
    return {(c.peer.address, c.peer.port, str(c.kind), c.name, c.user) for c in connections}


@pytest.mark.parametrize("scene", VERSIONS, indirect=True)
def test_the_list_is_right_to_the_connection(scene: Scene) -> None:
    with scene.session() as session:
        assert plain_connections(session) == []
        with scene.callers() as came:
            found = plain_connections(session)
            assert told(found) == came.plain
            assert len(found) == 2 * len(KINDS)
            assert all(each.number and each.local.port == 6379 for each in found)
            assert all(each.age is not None and each.age < 60 for each in found)
        assert plain_connections(session) == []


@pytest.mark.parametrize("scene", VERSIONS, indirect=True)
def test_leftover_sessions_are_ended_and_nobody_else_s(scene: Scene) -> None:
    with scene.session() as session, scene.callers() as came:
        found = plain_connections(session)
        assert told(found) == came.plain
        came.sockets.pop(0).close()

        assert end_connections(session, found) == len(found) - 1

        assert came.ended() == len(found) - 1
        assert plain_connections(session) == []
        assert end_connections(session, found) == 0
        assert session.redis().execute("PING") == "PONG"


# Without forwarding it is a process of the panel's that is connected to the server.
@pytest.mark.parametrize("scene", [*VERSIONS, "noforward"], indirect=True)
def test_the_kernel_tells_where_the_server_may_not(scene: Scene) -> None:
    lab, name = scene.stage.lab, scene.name
    with scene.session() as session, scene.callers() as came:
        cli(lab, name, "ACL", "SETUSER", "default", "-client")
        try:
            samples = [plain_sample(session) for _ in range(10)]
        finally:
            cli(lab, name, "ACL", "SETUSER", "default", "+client")
        for sample in samples:
            peers = {(c.peer.address, c.peer.port) for c in sample.connections}
            assert peers == {each[:2] for each in came.plain}
        assert {(c.number, c.age, c.user) for c in sample.connections} == {(None, None, "")}
        assert sample.nameless is not None
        assert sample.nameless.code == "NoPermission"
        assert end_connections(session, sample.connections) == len(came.plain)


@pytest.mark.parametrize("scene", VERSIONS, indirect=True)
def test_a_client_on_the_unix_socket_speaks_to_no_port(scene: Scene) -> None:
    lab, name = scene.stage.lab, scene.name
    product = "valkey" if name == "valkey" else "redis"
    path = f"/run/{product}/here.sock"
    restart = f"systemctl reset-failed {product}-server; systemctl restart {product}-server"
    config = scene.stage.hosts[name].config_path
    shell(lab, name, f"echo 'unixsocket {path}' >>{config}; {restart}")
    try:
        shell(lab, name, f"setsid {product}-cli -s {path} BLPOP nothing 0 >/dev/null 2>&1 &")
        with scene.session() as session, scene.callers() as came:
            assert f"{path}:0" in cli(lab, name, "CLIENT", "LIST")
            assert told(plain_connections(session)) == came.plain
    finally:
        shell(lab, name, f"sed -i '/^unixsocket /d' {config}; {restart}")


@pytest.mark.parametrize("scene", ["cache"], indirect=True)
def test_another_port_and_no_port_are_known_from_the_running_server(scene: Scene) -> None:
    with scene.session() as session, scene.callers() as came:
        cli(scene.stage.lab, scene.name, "CONFIG", "SET", "port", "6385")
        assert plain_sample(session).port == 6385
        assert plain_connections(session) == []
        session.redis().execute("CONFIG", "SET", "port", "0")
        assert plain_sample(session).port == 0
        assert told(plain_connections(session, 6379)) == came.plain
        session.redis().execute("CONFIG", "SET", "port", "6379")
        assert told(plain_connections(session)) == came.plain


@pytest.mark.parametrize("scene", VERSIONS, indirect=True)
def test_a_look_remembers_who_was_there_and_not_the_panel_itself(scene: Scene) -> None:
    row = scene.stage.panel.installed(scene.name)

    def observe() -> PlainPort:
        nodes_observe(rows=[row.pk], asked_at=timezone.now())
        return PlainPort.objects.get(node=row.node)

    assert (observe().quiet_samples, PlaintextClient.objects.count()) == (1, 0)
    with scene.callers() as came:
        port = observe()
        assert (port.samples, port.quiet_samples) == (2, 0)
        assert port.connections == len(came.plain)
    remembered = {each.address: each for each in PlaintextClient.objects.all()}
    for address in {each[0] for each in came.plain}:
        each = remembered.pop(address)
        assert each.connections == len(KINDS)
        assert each.names == NAMES["named"]
        assert each.users.split("\n") == ["default", USER]
        assert each.kinds.split("\n") == ["monitor", "normal", "pubsub"]
    assert remembered == {}
    assert (observe().quiet_samples, PlaintextClient.objects.count()) == (1, 2)


@pytest.mark.parametrize("scene", VERSIONS, indirect=True)
def test_a_port_that_was_closed_for_good_is_known_to_be_closed(scene: Scene) -> None:
    panel, row = scene.stage.panel, scene.stage.panel.installed(scene.name)

    def observe() -> Sampled:
        nodes_observe(rows=[row.pk], asked_at=timezone.now())
        return sampled_of(row.node)

    found = observe()
    assert (found.open, found.quiet_samples) == (1, 1)
    # On the number that plaintext had, and for clients with certificates alone.
    settings = {"plaintext": "off", "tls_port": "6379", "tls_auth_clients": "required"}
    succeeded(panel.run(scene.name, "configure", settings))
    found = observe()
    assert (found.sampled, found.open, found.quiet_samples) == (1, 0, 0)

    settings = {"plaintext": "keep", "tls_port": "6380", "tls_auth_clients": "optional"}
    succeeded(panel.run(scene.name, "configure", settings))
    found = observe()
    assert (found.open, found.samples, found.quiet_samples) == (1, 1, 1)
