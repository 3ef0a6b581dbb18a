"""The probe against a real redis-server, through a socket and through SSH."""

import datetime as dt
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509

from instances.remote.certificate_names import name_verdict
from instances.remote.dial import dial
from instances.remote.errors import TlsFailed, Unreachable
from instances.remote.host import Host, Stream
from instances.remote.local import LocalHost
from instances.remote.server import open_redis
from instances.remote.tls_probe import TlsObservation, probe_plaintext, probe_tls
from instances.secret import Secret
from tests.remote.redis_server import Authority, RedisServer, running_redis
from tests.remote.sshd import free_port

pytestmark = pytest.mark.processes

PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def to(port: int) -> Callable[[], Stream]:
    return lambda: dial("redis-1", "127.0.0.1", port, 2)


def probe(server: RedisServer, authority: Authority, **options: object) -> TlsObservation:
    known = {
        "server_name": "127.0.0.1",
        "ca_pem": authority.pem,
        "client": authority.leaf("client"),
        "timeout": 2.0,
    }
    return probe_tls(to(server.tls_port), **(known | options))  # type: ignore[arg-type]


def test_a_healthy_server(host: Host, redis_server: RedisServer, authority: Authority) -> None:
    seen = probe_tls(
        lambda: host.connect("127.0.0.1", redis_server.tls_port),
        server_name="127.0.0.1",
        ca_pem=authority.pem,
        client=authority.leaf("client"),
    )
    assert (seen.protocol, seen.ping) == ("TLSv1.3", "PONG")
    assert seen.chain_verified
    assert seen.name_matches
    assert seen.sans == ("DNS:redis-1.example.org", "IP:127.0.0.1")
    assert seen.latency_ms is not None


def test_the_fingerprint_is_openssls(
    redis_server: RedisServer, authority: Authority, tmp_path: Path
) -> None:
    leaf = (redis_server.log.parent / "redis.crt").read_bytes()
    seen = probe(redis_server, authority)
    expected = x509.load_pem_x509_certificate(leaf)
    assert seen.fingerprint_sha256.replace(":", "").lower() == (
        hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf.decode())).hexdigest()
    )
    assert seen.not_after == expected.not_valid_after_utc


def test_an_unknown_authority_is_seen_and_named(
    redis_server: RedisServer, authority: Authority
) -> None:
    seen = probe(redis_server, authority, ca_pem=Authority().pem)
    assert (seen.chain_verified.ok, seen.chain_verified.reason) == (False, "ChainInvalid")
    assert (seen.ping, len(seen.fingerprint_sha256)) == ("PONG", 95)


def test_a_wrong_name_does_not_hide_a_right_chain(
    redis_server: RedisServer, authority: Authority
) -> None:
    seen = probe(redis_server, authority, server_name="10.9.9.9")
    assert seen.chain_verified
    assert (seen.name_matches.ok, seen.name_matches.reason) == (False, "NameMismatch")


def test_an_expired_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.leaf("127.0.0.1", not_before=PAST, not_after=PAST + dt.timedelta(days=1))
    with running_redis(tmp_path, authority, leaf=leaf) as server:
        seen = probe(server, authority)
    assert (seen.chain_verified.reason, seen.name_matches.ok) == ("Expired", True)
    assert seen.not_after.year == 2020


def test_intermediates_are_part_of_the_chain(tmp_path: Path) -> None:
    root, below = Authority(), Authority()
    below.ca = root.ca.create_child_ca()
    with running_redis(tmp_path, root, leaf=below.leaf("127.0.0.1")) as server:
        assert probe(server, root, client=root.leaf("client")).chain_verified


def test_a_missing_client_certificate_shows_in_the_ping(
    redis_server: RedisServer, authority: Authority
) -> None:
    seen = probe(redis_server, authority, client=None)
    assert seen.chain_verified
    assert "client certificate" in seen.ping
    assert seen.latency_ms is None


def test_an_untrusted_client_certificate_shows_in_the_ping(
    redis_server: RedisServer, authority: Authority
) -> None:
    seen = probe(redis_server, authority, client=Authority().leaf("client"))
    assert "rejected the client certificate" in seen.ping


def test_a_client_key_of_another_certificate_is_told(
    redis_server: RedisServer, authority: Authority
) -> None:
    pair = (authority.leaf("client")[0], authority.leaf("client")[1])
    with pytest.raises(TlsFailed) as raised:
        probe(redis_server, authority, client=pair)
    assert raised.value.reason == "KeyPairUnusable"


def test_tls_1_2_without_a_client_certificate(authority: Authority, tmp_path: Path) -> None:
    with running_redis(tmp_path, authority, "--tls-protocols", "TLSv1.2") as server:
        assert probe(server, authority).protocol == "TLSv1.2"
        with pytest.raises(TlsFailed) as raised:
            probe(server, authority, client=None)
        assert raised.value.reason in {"ClientCertificateRejected", "HandshakeFailed"}
        with pytest.raises(TlsFailed) as old:
            probe(server, authority, minimum=ssl.TLSVersion.TLSv1_3)
        assert old.value.reason == "ProtocolTooOld"


def test_a_password_is_asked_for_and_used(authority: Authority, tmp_path: Path) -> None:
    with running_redis(tmp_path, authority, "--requirepass", "geheim") as server:
        assert probe(server, authority).ping == "NOAUTH"
        assert probe(server, authority, password=Secret("geheim")).ping == "PONG"
        assert (
            "invalid username-password" in probe(server, authority, password=Secret("falsch")).ping
        )
        assert probe_plaintext(to(server.port)) == "NOAUTH"


def test_a_password_is_not_sent_to_a_stranger(authority: Authority, tmp_path: Path) -> None:
    login = {"username": "default", "password": Secret("geheim")}
    expired = authority.leaf("127.0.0.1", not_before=PAST, not_after=PAST + dt.timedelta(days=1))
    with running_redis(tmp_path, authority, "--requirepass", "geheim") as server:
        assert probe(server, authority, ca_pem=Authority().pem, **login).ping == "NOAUTH"
        assert probe(server, authority, server_name="10.9.9.9", **login).ping == "NOAUTH"
        assert probe(server, authority, **login).ping == "PONG"
    with running_redis(tmp_path, authority, "--requirepass", "geheim", leaf=expired) as server:
        assert probe(server, authority, **login).ping == "NOAUTH"


def test_a_plaintext_port_is_told_from_a_broken_one(
    redis_server: RedisServer, authority: Authority
) -> None:
    with pytest.raises(TlsFailed) as raised:
        probe_tls(to(redis_server.port), server_name="x", ca_pem=authority.pem, timeout=0.5)
    assert raised.value.reason == "PlaintextPort"


def test_a_silent_port_times_out(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = to(server.getsockname()[1])
        with pytest.raises(TlsFailed) as raised:
            probe_tls(connect, server_name="x", ca_pem=authority.pem, timeout=0.2)
        assert raised.value.reason == "HandshakeTimeout"
        assert probe_plaintext(connect, 0.2) == "silent"


def test_a_closed_port_is_unreachable(host: Host, authority: Authority) -> None:
    port = free_port()
    with pytest.raises(Unreachable):
        probe_tls(lambda: host.connect("127.0.0.1", port), server_name="x", ca_pem=authority.pem)
    assert probe_plaintext(lambda: host.connect("127.0.0.1", port)) == "refused"


def test_plaintext_is_open_or_tls(host: Host, redis_server: RedisServer) -> None:
    assert probe_plaintext(lambda: host.connect("127.0.0.1", redis_server.port)) == "plaintext-open"
    assert probe_plaintext(lambda: host.connect("127.0.0.1", redis_server.tls_port)) == "tls"


def test_a_probe_leaves_no_connection_behind(
    local: LocalHost, redis_server: RedisServer, authority: Authority
) -> None:
    with closing(open_redis(local, "127.0.0.1", redis_server.port)) as client:
        before = len(client.execute("CLIENT", "LIST").splitlines())
        for _ in range(3):
            probe(redis_server, authority)
        assert len(client.execute("CLIENT", "LIST").splitlines()) <= before


def test_other_services_are_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert probe_plaintext(to(server.getsockname()[1])) == "other"


@pytest.mark.parametrize(
    ("name", "san", "ok"),
    [
        ("redis-1", "DNS:redis-1", True),
        ("Redis-1.", "DNS:redis-1", True),
        ("a.example.org", "DNS:*.example.org", True),
        ("a.b.example.org", "DNS:*.example.org", False),
        ("example.org", "DNS:*.example.org", False),
        ("10.0.0.1", "IP:10.0.0.1", True),
        ("10.0.0.1", "DNS:10.0.0.1", False),
        ("0:0::1", "IP:::1", True),
    ],
)
def test_names_are_compared_as_clients_do(name: str, san: str, ok: bool) -> None:
    assert name_verdict(name, (san,)).ok is ok
