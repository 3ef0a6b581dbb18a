"""Redis through a Host: plaintext and TLS, and what its refusals are called."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from instances.remote.errors import ConnectionLost, ServerRefused, TlsFailed, Unreachable
from instances.remote.host import Host
from instances.remote.local import LocalHost
from instances.remote.server import RedisClient, open_redis
from instances.remote.tls_stream import TlsClient
from instances.secret import Secret
from tests.remote.redis_server import Authority, RedisServer, running_redis
from tests.remote.sshd import free_port

pytestmark = pytest.mark.processes


@pytest.fixture
def client(local: LocalHost, redis_server: RedisServer) -> Iterator[RedisClient]:
    with closing(open_redis(local, "127.0.0.1", redis_server.port)) as opened:
        yield opened
        opened.execute("ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all")
        opened.execute("CONFIG", "SET", "requirepass", "")


def test_commands_and_settings_through_any_host(host: Host, redis_server: RedisServer) -> None:
    with closing(open_redis(host, "127.0.0.1", redis_server.port)) as client:
        assert client.execute("PING") == "PONG"
        assert client.config("port", "tls-port") == {
            "port": str(redis_server.port),
            "tls-port": str(redis_server.tls_port),
        }
        assert client.pipeline([("PING",)] * 500) == ["PONG"] * 500


def test_commands_over_tls_through_any_host(
    host: Host, redis_server: RedisServer, authority: Authority
) -> None:
    tls = TlsClient("127.0.0.1", authority.pem, authority.leaf("client"))
    with closing(open_redis(host, "127.0.0.1", redis_server.tls_port, tls=tls)) as client:
        assert client.execute("ECHO", "x" * 100_000) == "x" * 100_000
        assert client.pipeline([("PING",)] * 500) == ["PONG"] * 500


def test_a_wrong_authority_is_told(
    local: LocalHost, redis_server: RedisServer, authority: Authority
) -> None:
    tls = TlsClient("127.0.0.1", Authority().pem, authority.leaf("client"))
    with pytest.raises(TlsFailed) as raised:
        open_redis(local, "127.0.0.1", redis_server.tls_port, tls=tls)
    assert raised.value.reason == "ChainInvalid"


def test_a_wrong_name_is_told(
    local: LocalHost, redis_server: RedisServer, authority: Authority
) -> None:
    tls = TlsClient("10.9.9.9", authority.pem, authority.leaf("client"))
    with pytest.raises(TlsFailed) as raised:
        open_redis(local, "127.0.0.1", redis_server.tls_port, tls=tls)
    assert raised.value.reason == "NameMismatch"


def test_nothing_but_the_commands_is_sent(client: RedisClient) -> None:
    client.execute("CONFIG", "RESETSTAT")
    client.execute("PING")
    lines = client.execute("INFO", "commandstats").split()
    sent = {line.partition(":")[0] for line in lines if line.startswith("cmdstat_")}
    assert sent == {"cmdstat_config|resetstat", "cmdstat_ping"}


def test_a_refusal_in_a_pipeline_stands_in_its_place(client: RedisClient) -> None:
    replies = client.pipeline([("PING",), ("NOSUCH", "geheim"), ("ECHO", "after")])
    assert (replies[0], replies[2]) == ("PONG", "after")
    assert isinstance(replies[1], ServerRefused)
    assert replies[1].reason == "CommandRenamed"
    assert "geheim" not in str(replies[1])


def test_refusals_inside_a_transaction_are_translated(client: RedisClient) -> None:
    client.execute("SET", "word", "x")
    client.pipeline([("MULTI",), ("INCR", "word"), ("PING",)])
    refused, pong = client.execute("EXEC")
    assert isinstance(refused, ServerRefused)
    assert pong == "PONG"


def test_bytes_that_are_no_text_survive(client: RedisClient) -> None:
    client.execute("SET", "word", b"\xff\x00")
    value = client.execute("GET", "word")
    client.execute("SET", "copy", value)
    assert client.execute("STRLEN", "copy") == 2


def test_passwords_are_asked_for_and_checked(
    client: RedisClient, local: LocalHost, redis_server: RedisServer
) -> None:
    client.execute("CONFIG", "SET", "requirepass", "geheim")
    place = (local, "127.0.0.1", redis_server.port)
    with closing(open_redis(*place, password=Secret("geheim"))) as known:
        assert known.execute("PING") == "PONG"
    with closing(open_redis(*place)) as stranger:
        replies = stranger.pipeline([("PING",), ("PING",)])
        assert [reply.reason for reply in replies] == ["PasswordNeeded"] * 2
        stranger.execute("AUTH", "geheim")
        assert stranger.execute("PING") == "PONG"
    with pytest.raises(ServerRefused) as wrong:
        open_redis(*place, username="someone", password=Secret("falsch"))
    assert wrong.value.reason == "PasswordWrong"
    assert "falsch" not in str(wrong.value)


def test_a_password_that_the_server_does_not_have(
    client: RedisClient, local: LocalHost, redis_server: RedisServer
) -> None:
    with pytest.raises(ServerRefused) as raised:
        open_redis(local, "127.0.0.1", redis_server.port, password=Secret("geheim"))
    assert raised.value.reason == "PasswordNotSet"


def test_a_missing_right_is_told(client: RedisClient) -> None:
    client.execute("ACL", "SETUSER", "default", "-config|get")
    with pytest.raises(ServerRefused) as raised:
        client.config()
    assert raised.value.reason == "NoPermission"


def test_a_renamed_config_is_told(local: LocalHost, authority: Authority, tmp_path: Path) -> None:
    with (
        running_redis(tmp_path, authority, "--rename-command", "CONFIG", "") as server,
        closing(open_redis(local, "127.0.0.1", server.port)) as client,
        pytest.raises(ServerRefused) as raised,
    ):
        client.config()
    assert raised.value.reason == "CommandRenamed"


def test_a_server_that_is_silent_or_gone_is_told(
    local: LocalHost, authority: Authority, tmp_path: Path
) -> None:
    with running_redis(tmp_path, authority) as server:
        with closing(open_redis(local, "127.0.0.1", server.port, timeout=0.3)) as client:
            with pytest.raises(Unreachable) as raised:
                client.execute("BLPOP", "none", "0")
            assert raised.value.reason == "ServerSilent"
            with pytest.raises(ConnectionLost):
                client.execute("PING")
        left = open_redis(local, "127.0.0.1", server.port)
    with pytest.raises(ConnectionLost):
        left.execute("PING")


def test_a_closed_port_is_refused(host: Host) -> None:
    with pytest.raises(Unreachable) as raised:
        open_redis(host, "127.0.0.1", free_port())
    assert raised.value.reason == "ConnectionRefused"


def test_a_stream_outlived_by_its_host_is_a_lost_connection(
    doomed_host: Host, redis_server: RedisServer
) -> None:
    client = open_redis(doomed_host, "127.0.0.1", redis_server.port)
    doomed_host.close()
    if isinstance(doomed_host, LocalHost):
        assert client.execute("PING") == "PONG"
    else:
        with pytest.raises(ConnectionLost):
            client.execute("PING")
    client.close()
