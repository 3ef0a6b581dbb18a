"""TLS alone, on a port of its own or on the number that plaintext had, and back."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import timezone

from addons.models import NodeInstallation, Run
from addons.runs.drive import run_drive
from addons.runs.services import run_confirm
from addons.watch.observe import nodes_observe
from addons.watch.services import drift_accept
from tests.acceptance.outside import ping_over_tls, reachable
from tests.acceptance.panel import ANNA, refused, said, succeeded, unchanged, warnings
from tests.acceptance.photograph import shell
from tests.acceptance.stage import STAYS_IN_6_2, Stage
from tests.acceptance.traffic import PORT, TLS_PORT

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

PLAIN, SECURED = 3, 2


class Caller:
    """A connection that stays."""

    def __init__(
        self, address: str, port: int, trusts: ssl.SSLContext | None, password: str
    ) -> None:
        self._socket = socket.create_connection((address, port), timeout=5)
        if trusts:
            self._socket = trusts.wrap_socket(self._socket, server_hostname=address)
        if password:
            escaped = password.replace('"', '\\"')
            self._socket.sendall(f'AUTH "{escaped}"\r\n'.encode())
            assert self._socket.recv(16) == b"+OK\r\n"

    def answers(self) -> bool:
        try:
            self._socket.sendall(b"PING\r\n")
            return self._socket.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True)
class Case:
    """A node, and whether its server takes all changes live."""

    stage: Stage
    name: str
    live: bool

    def configured(self, **settings: str) -> list[str]:
        """Change settings, see that nothing is left to change, and return what was said."""
        run = succeeded(self.stage.panel.run(self.name, "configure", settings))
        assert unchanged(self.stage.panel.run(self.name, "configure", settings))
        return said(run)

    @property
    def pair(self) -> tuple[Path, Path]:
        """The node's own client pair, fetched as root."""
        folder = {"valkey": "/etc/valkey/tls"}.get(self.name, "/etc/redis/tls")
        files = (self.stage.scratch / "client.crt", self.stage.scratch / "client.key")
        for path in files:
            path.write_text(shell(self.stage.lab, self.name, f"cat {folder}/client/{path.name}"))
        return files

    def speaks_tls(self, port: int) -> bool:
        password = self.stage.password(self.name)
        answer = ping_over_tls(
            self.stage.address(self.name),
            self.stage.root,
            port=port,
            password=password,
            client=self.pair,
        )
        return "Verify return code: 0 (ok)" in answer and "+PONG" in answer

    @contextmanager
    def callers(self, port: int, *, count: int, tls: bool) -> Iterator[list[Caller]]:
        address, password = self.stage.address(self.name), self.stage.password(self.name)
        trusts = ssl.create_default_context(cafile=str(self.stage.root)) if tls else None
        if trusts:
            trusts.load_cert_chain(*self.pair)
        made = [Caller(address, port, trusts, password) for _ in range(count)]
        try:
            assert all(each.answers() for each in made)
            yield made
        finally:
            for each in made:
                each.close()

    def closes_the_plain_port(self) -> None:
        with (
            self.callers(PORT, count=PLAIN, tls=False) as plain,
            self.callers(TLS_PORT, count=SECURED, tls=True) as secured,
        ):
            preview = self.stage.panel.run(
                self.name, "configure", {"plaintext": "off"}, confirmed=False
            )
            assert f"{PLAIN} connections on the plain port" in warnings(preview)["PlaintextInUse"]
            told = self.configured(plaintext="off")
            assert not any(each.answers() for each in plain)
            assert [each.answers() for each in secured] == [self.live] * SECURED
        if self.live:
            assert f"applied leftover: {PLAIN} plaintext sessions ended" in told
        assert any("the plain port is closed" in text for text in told)
        assert self.stage.ping(self.name) == "ConnectionRefusedError"
        assert self.speaks_tls(TLS_PORT)
        assert self.stage.panel.installed(self.name).observed["plaintext"] == "closed"

    def gives_tls_the_number(self) -> None:
        with self.callers(TLS_PORT, count=SECURED, tls=True) as secured:
            self.configured(tls_port=str(PORT))
            assert [each.answers() for each in secured] == [self.live] * SECURED
        self.is_tls_on_the_number()

    def is_tls_on_the_number(self) -> None:
        assert self.speaks_tls(PORT)
        assert self.stage.ping(self.name) == "ConnectionResetError"
        assert not reachable(self.stage.address(self.name), TLS_PORT)

    def opens_the_plain_port(self) -> None:
        self.configured(plaintext="keep", tls_port=str(TLS_PORT))
        assert self.stage.ping(self.name) == "+PONG"
        assert self.speaks_tls(TLS_PORT)


def _there_and_back(case: Case) -> None:
    stage, name = case.stage, case.name
    stage.register(name)
    before = stage.photographs(name)
    stage.panel.install(name, tls_auth_clients="required" if name == "withpass" else "optional")
    case.closes_the_plain_port()
    case.gives_tls_the_number()
    stage.panel.reissue(name)
    case.is_tls_on_the_number()
    assert not stage.panel.look(name).fault
    case.opens_the_plain_port()
    # At once, and away from there.
    with case.callers(PORT, count=PLAIN, tls=False) as plain:
        told = case.configured(plaintext="off", tls_port=str(PORT))
        assert not any(each.answers() for each in plain)
    if case.live:
        assert f"applied leftover: {PLAIN} plaintext sessions ended" in told
    case.is_tls_on_the_number()
    stage.panel.uninstall(name, apply="live" if case.live else "restart")
    assert stage.ping(name) == "+PONG"
    assert stage.trace(before, but=STAYS_IN_6_2) == {}


LONG = [
    pytest.param(name, marks=pytest.mark.long)
    for name in ("six-two", "trixie", "valkey", "withpass")
]


@pytest.mark.parametrize("name", ["cache", *LONG])
def test_tls_alone_and_back_without_a_restart(stage: Stage, name: str) -> None:
    _there_and_back(Case(stage, name, live=True))


def test_tls_alone_and_back_where_it_takes_restarts(stage: Stage) -> None:
    _there_and_back(Case(stage, "legacy", live=False))


@pytest.mark.parametrize("apply", ["live", pytest.param("restart", marks=pytest.mark.long)])
def test_a_server_may_be_led_to_tls_alone_at_its_install(stage: Stage, apply: str) -> None:
    case = Case(stage, "cache", live=True)
    stage.register("cache")
    before = stage.photographs("cache")
    stage.panel.install("cache", plaintext="off", tls_port=str(PORT), apply=apply)
    case.is_tls_on_the_number()
    stage.panel.uninstall("cache", apply=apply)
    assert stage.trace(before) == {}


def test_a_port_that_was_closed_to_others_stays_so_all_the_way(stage: Stage) -> None:
    case = Case(stage, "stock", live=True)
    stage.register("stock")
    before = stage.photographs("stock")
    stage.panel.install("stock", bind="node", protected_mode="no")
    assert not reachable(stage.address("stock"), PORT)
    case.configured(plaintext="off", tls_port=str(PORT))
    case.is_tls_on_the_number()
    case.configured(plaintext="keep", tls_port=str(TLS_PORT))
    assert not reachable(stage.address("stock"), PORT)
    assert case.speaks_tls(TLS_PORT)
    stage.panel.uninstall("stock")
    assert stage.trace(before) == {}


def test_a_server_without_config_is_led_there_by_restarts(stage: Stage) -> None:
    case = Case(stage, "cache", live=False)
    path, restart = "/etc/redis/redis.conf", "systemctl restart redis-server"
    shell(stage.lab, "cache", f"echo 'rename-command CONFIG HIDDEN' >>{path}; {restart}")
    try:
        stage.register("cache")
        before = shell(stage.lab, "cache", f"cat {path}")
        stage.panel.install("cache")
        case.configured(plaintext="off", tls_port=str(PORT))
        case.is_tls_on_the_number()
        case.opens_the_plain_port()
        stage.panel.uninstall("cache", apply="restart")
        assert shell(stage.lab, "cache", f"cat {path}") == before
        assert stage.ping("cache") == "+PONG"
    finally:
        shell(stage.lab, "cache", f"sed -i '/HIDDEN/d' {path}; {restart}")


def test_a_plain_port_opened_by_hand_is_seen_and_closed_or_accepted(stage: Stage) -> None:
    case = Case(stage, "cache", live=True)
    stage.register("cache")
    stage.panel.install("cache", plaintext="off")
    over_tls = f"redis-cli -p {TLS_PORT} --tls --cacert /etc/redis/tls/client/root.crt"

    def opened_by_hand() -> NodeInstallation:
        shell(stage.lab, "cache", f"{over_tls} CONFIG SET port {PORT}")
        nodes_observe(rows=[stage.panel.installed("cache").pk], asked_at=timezone.now())
        return stage.panel.installed("cache")

    row = opened_by_hand()
    assert row.health == "bad"
    assert "PlainPortOpen" in [each["reason"] for each in row.conditions]
    (drift,) = (each for each in row.drift if each["place"] == "the running server")
    assert [line["text"] for line in drift["lines"] if line["kind"] == "del"] == [f"port {PORT}"]

    succeeded(stage.panel.run("cache", "install", {}))
    assert stage.ping("cache") == "ConnectionRefusedError"

    opened_by_hand()
    run = drift_accept(actor=ANNA, group=row.node.group, addon="encryption", node=row.node_id)
    run_drive(run=run.pk)
    run_confirm(actor=ANNA, run=Run.objects.get(pk=run.pk))
    run_drive(run=run.pk)
    run.refresh_from_db()
    assert succeeded(run).installation.spec["plaintext"] == "keep"
    assert stage.ping("cache") == "+PONG"
    case.configured(plaintext="keep")
    stage.panel.uninstall("cache")


def test_plaintext_and_tls_cannot_have_one_number(stage: Stage) -> None:
    stage.register("cache")
    assert refused(stage.panel.try_install("cache", tls_port=str(PORT))) == "SamePort"
