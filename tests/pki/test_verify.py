"""Leaves before the library's own check, before OpenSSL, and in a real handshake."""

import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from addons.pki.authority import KeyType
from addons.pki.bundle import trust_bundle
from addons.pki.facts import load, read_certificate
from addons.pki.leaf import Issued
from addons.pki.verify import verify

from .conftest import NOW, Authority, make_authority

TODAY = datetime.now(UTC)


@pytest.mark.parametrize(
    "name", ["redis-1.example", "REDIS-1.example.", "a.wild.example", "10.0.0.1", "::1", "redis_1"]
)
def test_a_leaf_is_accepted_under_each_of_its_names(authority: Authority, name: str) -> None:
    leaf = authority.issue(
        dns_names=("redis-1.example", "*.wild.example", "redis_1"), ip_addresses=("10.0.0.1", "::1")
    )
    assert verify(leaf.certificate_pem, authority.pem, name=name, now=NOW) is None


@pytest.mark.parametrize(
    "name", ["redis-2.example", "a.b.wild.example", "10.0.0.2", "wild.example"]
)
def test_another_name_is_a_mismatch(authority: Authority, name: str) -> None:
    leaf = authority.issue(dns_names=("redis-1.example", "*.wild.example"))
    reason = verify(leaf.certificate_pem, authority.pem, name=name, now=NOW)
    assert reason is not None
    assert reason.code == "NameMismatch"
    assert "redis-1.example" in reason.message


@pytest.mark.parametrize(
    ("age", "code"), [(timedelta(hours=-2), "NotYetValid"), (timedelta(days=31), "Expired")]
)
def test_a_leaf_out_of_its_time_is_refused(authority: Authority, age: timedelta, code: str) -> None:
    leaf = authority.issue(lifetime_days=30)
    reason = verify(leaf.certificate_pem, authority.pem, name="10.0.0.1", now=NOW + age)
    assert reason is not None
    assert reason.code == code


def test_a_stranger_authority_is_unknown(authority: Authority) -> None:
    leaf = authority.issue()
    reason = verify(leaf.certificate_pem, make_authority().pem, name="10.0.0.1", now=NOW)
    assert reason is not None
    assert reason.code == "UnknownAuthority"


def test_an_altered_leaf_has_a_bad_signature(authority: Authority) -> None:
    der = load(authority.issue().certificate_pem).public_bytes(Encoding.DER)
    reason = verify(
        der.replace(b"redis-1.example", b"redis-9.example"),
        authority.pem,
        name="redis-9.example",
        now=NOW,
    )
    assert reason is not None
    assert reason.code == "BadSignature"


def test_a_client_certificate_is_not_accepted_from_a_server(authority: Authority) -> None:
    leaf = authority.issue(purpose="client", ip_addresses=("10.0.0.1",))
    reason = verify(leaf.certificate_pem, authority.pem, name="10.0.0.1", now=NOW)
    assert reason is not None
    assert reason.code == "UsageDiffers"
    assert verify(leaf.certificate_pem, authority.pem, name=None, now=NOW) is None


def test_a_leaf_in_the_trust_is_no_authority(authority: Authority) -> None:
    leaf = authority.issue()
    reason = verify(leaf.certificate_pem, [leaf.certificate_pem], name="10.0.0.1", now=NOW)
    assert reason is not None
    assert reason.code == "UnknownAuthority"


def test_one_of_several_authorities_is_enough(authority: Authority) -> None:
    leaf = authority.issue()
    trust = [make_authority("other").pem + authority.pem]
    assert verify(leaf.certificate_pem, trust, name="10.0.0.1", now=NOW) is None


@pytest.mark.processes
@pytest.mark.parametrize("key_type", list(KeyType))
@pytest.mark.parametrize(
    "check",
    [["-verify_ip", "10.0.0.1"], ["-verify_ip", "fd00::7"], ["-verify_hostname", "r.example"]],
)
def test_openssl_accepts_a_leaf_by_address_and_by_name(
    tmp_path: Path, key_type: KeyType, check: list[str]
) -> None:
    authority = make_authority(now=TODAY, key_type=key_type)
    leaf = authority.issue(
        now=TODAY, key_type=key_type, dns_names=("r.example",), ip_addresses=("10.0.0.1", "fd00::7")
    )
    assert openssl_verify(tmp_path, leaf, authority.pem, *check).returncode == 0


@pytest.mark.processes
def test_openssl_accepts_both_leaves_while_an_authority_is_rotated(tmp_path: Path) -> None:
    old, new = make_authority("same", now=TODAY), make_authority("same", now=TODAY)
    trust = trust_bundle([old.pem, new.pem], now=TODAY)
    for authority in (old, new):
        leaf = authority.issue(now=TODAY)
        assert openssl_verify(tmp_path, leaf, trust, "-verify_ip", "10.0.0.1").returncode == 0


@pytest.mark.processes
def test_openssl_refuses_another_address(tmp_path: Path) -> None:
    authority = make_authority(now=TODAY)
    leaf = authority.issue(now=TODAY)
    assert openssl_verify(tmp_path, leaf, authority.pem, "-verify_ip", "10.0.0.2").returncode != 0


def openssl_verify(
    place: Path, leaf: Issued, trust: str, *check: str
) -> subprocess.CompletedProcess[str]:
    (place / "root.crt").write_text(trust)
    (place / "leaf.crt").write_text(leaf.certificate_pem)
    strict = ["-x509_strict", "-purpose", "sslserver", "-no-CApath", "-no-CAstore"]
    return subprocess.run(
        ["openssl", "verify", *strict, "-CAfile", "root.crt", *check, "leaf.crt"],
        cwd=place,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def issuer() -> Authority:
    return make_authority(now=TODAY)


def test_a_handshake_with_a_client_certificate_succeeds(tmp_path: Path, issuer: Authority) -> None:
    client = issuer.issue(now=TODAY, common_name="billing", purpose="client")
    assert handshake(tmp_path, issuer, client) == "billing"


def test_a_replica_may_show_its_server_leaf_as_a_client(tmp_path: Path, issuer: Authority) -> None:
    replica = issuer.issue(now=TODAY, common_name="redis-2")
    assert handshake(tmp_path, issuer, replica) == "redis-2"


def test_a_handshake_without_a_client_certificate_fails(tmp_path: Path, issuer: Authority) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, issuer, None)


def test_a_strangers_client_certificate_fails(tmp_path: Path, issuer: Authority) -> None:
    stranger = make_authority(now=TODAY).issue(now=TODAY, purpose="client")
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, issuer, stranger)


def handshake(place: Path, issuer: Authority, client: Issued | None) -> str:
    """Return the client's common name as the server saw it; raise what the server raised."""
    (place / "root.crt").write_text(issuer.pem)
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    theirs.settimeout(10)
    server = context(place, ssl.PROTOCOL_TLS_SERVER, issuer.issue(now=TODAY))
    server.verify_mode = ssl.CERT_REQUIRED
    thread = threading.Thread(target=connect, args=(place, theirs, client))
    thread.start()
    try:
        with server.wrap_socket(ours, server_side=True) as tls:
            seen = tls.getpeercert(binary_form=True)
            assert seen
            return read_certificate(seen).common_name
    finally:
        ours.close()
        thread.join()


def connect(place: Path, sock: socket.socket, client: Issued | None) -> None:
    wrapped = context(place, ssl.PROTOCOL_TLS_CLIENT, client)
    try:
        with wrapped.wrap_socket(sock, server_hostname="10.0.0.1") as tls:
            tls.recv(1)
    except OSError:
        pass  # Refused: the server's side tells why.
    finally:
        sock.close()


def context(place: Path, protocol: "ssl._SSLMethod", leaf: Issued | None) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.load_verify_locations(place / "root.crt")
    if leaf:
        name = f"{protocol.name}"
        (place / f"{name}.crt").write_text(leaf.certificate_pem)
        (place / f"{name}.key").write_text(leaf.key.reveal())
        made.load_cert_chain(place / f"{name}.crt", place / f"{name}.key")
    return made
