"""How a node's own server is reached from its machine, and what it says of itself."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from instances.nodeconf.facts import ServerFacts, parse_facts
from instances.opening import open_server
from instances.remote.errors import ServerRefused, Unreachable
from instances.remote.host import Host
from instances.remote.local import LocalHost
from instances.remote.server import RedisClient
from instances.runtime import (
    RuntimeFacts,
    admin_address,
    config_set_refused,
    read_runtime,
)
from instances.secret import Secret
from tests.remote.redis_server import Authority, running_redis
from tests.remote.sshd import free_port

pytestmark = pytest.mark.processes

ANSWER = Path(__file__).parents[1] / "nodeconf/facts/bookworm-nftables.out"
NOBODY = ("", Secret(""))
PASSWORD = ("", Secret("geheim"))


@cache
def _server() -> ServerFacts:
    return parse_facts(ANSWER.read_bytes()).server


def server_with(*lines: str) -> ServerFacts:
    """The facts of a server whose whole configuration these lines are."""
    config = replace(_server().config, content="\n".join([*lines, ""]).encode(), includes={})
    return replace(_server(), config=config, exec_start=())


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("* -::*", "127.0.0.1"),
        ("127.0.0.1 -::1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("10.0.0.1 -127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("redis-1.example.org", "redis-1.example.org"),
        ("::", "::1"),
        ("::*", "::1"),
        ("-::*", "::1"),
        ("10.0.0.1 ::1", "::1"),
        (":: 0.0.0.0", "127.0.0.1"),
        ("10.0.0.1 10.0.0.2", "10.0.0.1"),
        ("-10.0.0.2 10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
        ('""', "127.0.0.1"),
    ],
)
def test_a_server_is_reached_where_it_listens(bind: str, address: str) -> None:
    assert admin_address(server_with(f"bind {bind}")) == address


def test_a_server_without_a_bind_line_is_reached_on_loopback() -> None:
    assert admin_address(server_with("port 6379")) == "127.0.0.1"


@pytest.mark.parametrize("bind", ["::", "-::*", "* -::*", "localhost", "::1"])
def test_a_real_server_is_found_there(
    bind: str, local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    with running_redis(tmp_path, authority) as server:
        facts = server_with(f"port {server.port}")
        with closing(opened(local, facts, *NOBODY)) as redis:
            redis.execute("CONFIG", "SET", "bind", bind)
        facts = server_with(f"port {server.port}", f"bind {bind}")
        with closing(opened(local, facts, *NOBODY)) as redis:
            assert redis.execute("PING") == "PONG"


def opened(
    host: Host,
    facts: ServerFacts,
    *login: Any,
    also: Sequence[int] = (),
    pair: tuple[str, Secret] | None = None,
) -> RedisClient:
    return open_server(host, facts, *login, introduce=lambda: pair, also=also)


def seen(
    host: Host,
    facts: ServerFacts,
    login: tuple[str, Secret],
    pair: tuple[str, Secret] | None = None,
) -> RuntimeFacts:
    with closing(opened(host, facts, *login, pair=pair)) as redis:
        return read_runtime(redis, facts)


ACLS = {
    "user default on nopass ~* &* +@all": True,
    "user default on >geheim ~* &* +@all": False,
    "user default off nopass ~* &* +@all": False,
    "user default on nopass ~* &* +@all -acl": None,
}


@pytest.mark.parametrize(("line", "open_to_all"), ACLS.items())
def test_an_aclfile_is_judged_by_what_the_server_does(
    line: str, open_to_all: bool | None, local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    acl = tmp_path / "users.acl"
    acl.write_text(f"{line}\nuser panel on >geheim ~* &* +@all{' -acl' * (open_to_all is None)}\n")
    with running_redis(tmp_path, authority, "--aclfile", str(acl)) as server:
        facts = server_with(f"port {server.port}", f"aclfile {acl}")
        assert facts.requires_password is None
        told = seen(local, facts, ("panel", Secret("geheim")))
        assert (told.open, told.config_refused) == (open_to_all, None)
        if open_to_all:
            assert seen(local, facts, NOBODY).open


def test_a_password_is_seen_to_be_asked_for(
    local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    with running_redis(tmp_path, authority, "--requirepass", "geheim") as server:
        facts = server_with(f"port {server.port}")
        assert seen(local, facts, PASSWORD).open is False
        with pytest.raises(ServerRefused) as raised:
            seen(local, facts, NOBODY)
        assert raised.value.reason == "PasswordNeeded"


def test_without_the_acl_command_it_is_not_known(
    local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    with running_redis(tmp_path, authority, "--rename-command", "ACL", "") as server:
        told = seen(local, server_with(f"port {server.port}"), NOBODY)
    assert told.open is None
    assert told.config_refused is None
    assert told.config["protected-mode"] == "yes"


def tls_only(tls_port: int, folder: Path, *more: str) -> ServerFacts:
    certificate = f"tls-cert-file {folder / 'redis.crt'}"
    return server_with("port 0", f"tls-port {tls_port}", certificate, *more)


def test_a_server_without_a_plain_port_is_asked_over_tls(
    host: Host, authority: Authority, tmp_path: Path
) -> None:
    options = ("--tls-auth-clients", "no", "--requirepass", "geheim")
    with running_redis(tmp_path, authority, *options) as server:
        told = seen(host, tls_only(server.tls_port, tmp_path), PASSWORD)
    assert (told.role, told.open) == ("master", False)
    assert told.config["tls-port"] == str(server.tls_port)


def test_a_password_goes_only_to_who_serves_the_certificate_on_file(
    local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    options = ("--tls-auth-clients", "no", "--requirepass", "geheim")
    with running_redis(tmp_path, authority, *options) as server:
        facts = tls_only(server.tls_port, tmp_path)
        for on_file in (Authority().leaf("127.0.0.1")[0], "nonsense", None):
            path = tmp_path / "redis.crt"
            path.unlink() if on_file is None else path.write_text(on_file)
            with pytest.raises(ServerRefused) as raised:
                seen(local, facts, PASSWORD)
            assert raised.value.reason == "TlsOnly"
            with pytest.raises(ServerRefused) as stranger:
                seen(local, facts, NOBODY)
            assert stranger.value.reason == "PasswordNeeded"


ASKS = [(protocol, login) for protocol in ("TLSv1.2", "TLSv1.3") for login in (NOBODY, PASSWORD)]


@pytest.mark.parametrize(("protocol", "login"), ASKS)
def test_a_server_that_asks_for_a_client_certificate_is_shown_one(
    protocol: str,
    login: tuple[str, Secret],
    host: Host,
    authority: Authority,
    tmp_path: Path,
) -> None:
    password = ("--requirepass", "geheim") if login is PASSWORD else ()
    with running_redis(tmp_path, authority, "--tls-protocols", protocol, *password) as server:
        for asks in ("yes", "optional"):
            # The file may be behind the running server.
            facts = tls_only(server.tls_port, tmp_path, f"tls-auth-clients {asks}")
            told = seen(host, facts, login, authority.leaf("redoubt"))
            assert told.config["tls-auth-clients"] == "yes"


@pytest.mark.parametrize(("protocol", "login"), ASKS)
def test_without_one_such_a_server_cannot_be_asked(
    protocol: str,
    login: tuple[str, Secret],
    local: LocalHost,
    authority: Authority,
    tmp_path: Path,
) -> None:
    with running_redis(tmp_path, authority, "--tls-protocols", protocol) as server:
        for pair in (None, Authority().leaf("redoubt")):
            with pytest.raises(ServerRefused) as raised:
                opened(local, tls_only(server.tls_port, tmp_path), *login, pair=pair)
            assert raised.value.reason == "TlsOnly"
            assert raised.value.next_step


def test_a_password_goes_to_who_serves_a_certificate_of_the_authority_on_file(
    local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    options = ("--tls-auth-clients", "no", "--requirepass", "geheim")
    with running_redis(tmp_path, authority, *options) as server:
        facts = tls_only(server.tls_port, tmp_path, f"tls-ca-cert-file {tmp_path / 'ca.crt'}")
        (tmp_path / "redis.crt").write_text(authority.leaf("127.0.0.1")[0])
        assert seen(local, facts, PASSWORD).open is False
        (tmp_path / "ca.crt").write_text(Authority().pem)
        with pytest.raises(ServerRefused) as raised:
            seen(local, facts, PASSWORD)
        assert raised.value.reason == "TlsOnly"


def test_a_server_is_found_on_ports_that_its_file_does_not_name_so(
    local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    """As a change of its ports leaves it that was interrupted between server and file."""
    with running_redis(tmp_path, authority, "--tls-auth-clients", "no") as server:
        nowhere = free_port()
        crossed = (f"port {server.tls_port}", f"port 0\ntls-port {server.port}")
        for lines in (*crossed, f"port {nowhere}", f"port 0\ntls-port {nowhere}"):
            also = (server.tls_port,) if str(nowhere) in lines else ()
            facts = server_with(lines, f"tls-cert-file {tmp_path / 'redis.crt'}")
            with closing(opened(local, facts, *NOBODY, also=also)) as redis:
                assert redis.execute("PING") == "PONG"


def test_a_server_that_is_down_is_out_of_reach(local: LocalHost) -> None:
    with pytest.raises(Unreachable) as raised:
        opened(local, server_with(f"port {free_port()}"), *NOBODY, also=(free_port(),))
    assert raised.value.reason == "ConnectionRefused"


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ((), ""),
        (("--user", "default", "on", "nopass", "~*", "+@all", "-config|set"), "NoPermission"),
        (("--rename-command", "CONFIG", ""), "CommandRenamed"),
    ],
)
def test_who_may_not_change_settings_is_known_without_changing_any(
    options: tuple[str, ...], refused: str, local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    with (
        running_redis(tmp_path, authority, *options) as server,
        closing(opened(local, server_with(f"port {server.port}"), *NOBODY)) as client,
    ):
        reason = config_set_refused(client)
    assert (reason.code if reason else "") == refused
