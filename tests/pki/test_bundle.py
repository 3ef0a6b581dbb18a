import io
import subprocess
import zipfile
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from addons.pki.authority import KeyType
from addons.pki.bundle import split, trust_bundle
from addons.pki.client_bundle import ClientBundle, SignedBundle
from addons.pki.errors import CertificateError
from addons.pki.facts import load, matches_key, read_certificate
from addons.pki.how_to import MOST, Endpoint, Parts, readme, redis_py_lines
from instances.secret import Secret

from .conftest import NOW, Authority, make_authority

OLD = make_authority("old", now=NOW - timedelta(days=300), years=1)
NEW = make_authority("new")
THIRD = make_authority("third", now=NOW - timedelta(days=5))


def test_a_bundle_is_the_same_bytes_in_whatever_order() -> None:
    bundles = {
        trust_bundle(order, now=NOW) for order in permutations([OLD.pem, NEW.pem, THIRD.pem])
    }
    assert bundles == {NEW.pem + THIRD.pem + OLD.pem}


def test_a_bundle_has_no_doubles() -> None:
    assert trust_bundle([NEW.pem, NEW.pem + NEW.pem], now=NOW) == NEW.pem


def test_an_expired_authority_is_left_out() -> None:
    later = NOW + timedelta(days=100)
    assert trust_bundle([OLD.pem, NEW.pem], now=later) == NEW.pem


def test_an_authority_of_the_future_is_left_out() -> None:
    earlier = NOW - timedelta(days=2)
    assert trust_bundle([THIRD.pem, NEW.pem], now=earlier) == THIRD.pem


@pytest.mark.parametrize("pems", [[], [""], [OLD.pem]])
def test_a_bundle_that_trusts_nothing_is_refused(pems: list[str]) -> None:
    with pytest.raises(CertificateError) as caught:
        trust_bundle(pems, now=NOW + timedelta(days=100))
    assert caught.value.code == "NoValidAuthority"


def test_a_leaf_is_not_put_into_a_bundle() -> None:
    with pytest.raises(CertificateError) as caught:
        trust_bundle([NEW.issue().certificate_pem], now=NOW)
    assert caught.value.code == "NotAnAuthority"


def test_a_private_key_beside_a_certificate_never_gets_into_a_bundle() -> None:
    assert "PRIVATE" not in trust_bundle([NEW.key.reveal() + NEW.pem], now=NOW)


def client(authority: Authority = NEW, key_type: KeyType = KeyType.EC_P256) -> ClientBundle:
    leaf = authority.issue(common_name="billing", purpose="client", key_type=key_type)
    return ClientBundle(leaf.certificate_pem, leaf.key, NEW.pem + OLD.pem)


SERVERS = (Endpoint("cache-1", "10.0.0.1", 6380), Endpoint("cache-2", "c2.example", 7443))


def test_the_archive_holds_the_four_files_and_the_key_for_its_owner_alone() -> None:
    bundle = client()
    archive = zipfile.ZipFile(io.BytesIO(bundle.as_zip(now=NOW, endpoints=SERVERS)))
    assert archive.namelist() == ["client.crt", "client.key", "root.crt", "README.txt"]
    assert archive.getinfo("client.key").external_attr >> 16 == 0o100600
    assert archive.read("client.key").decode() == bundle.key.reveal()
    assert archive.read("root.crt").decode() == NEW.pem + OLD.pem


def test_who_has_the_key_already_gets_none() -> None:
    leaf = NEW.issue(common_name="billing", purpose="client")
    made = SignedBundle(leaf.certificate_pem, NEW.pem).as_zip(now=NOW, endpoints=SERVERS)
    archive = zipfile.ZipFile(io.BytesIO(made))
    assert archive.namelist() == ["client.crt", "root.crt", "README.txt"]
    assert not [name for name in archive.namelist() if b"PRIVATE" in archive.read(name)]
    assert b"the key that you made the request with" in archive.read("README.txt")


def test_the_how_to_names_the_client_and_each_server_and_no_secret() -> None:
    text = readme(read_certificate(client().certificate_pem), SERVERS, key=True)
    assert '"billing", valid until 2027-03-01' in text
    for host, port in (("10.0.0.1", 6380), ("c2.example", 7443)):
        line = f"    redis-cli --tls -h {host} -p {port} --cacert root.crt --cert client.crt"
        assert f"{line} --key client.key PING\n" in text
        assert f"    redis.Redis('{host}', {port}, **tls).ping()\n" in text
    assert 'new Redis({ host: "10.0.0.1"' in text
    assert "PRIVATE KEY" not in text


def test_the_python_of_the_how_to_is_python() -> None:
    compile(redis_py_lines(Parts.of_one("it's.pem"), SERVERS), "how-to", "exec")


def test_a_how_to_for_many_servers_names_the_first_and_counts_the_rest() -> None:
    many = [Endpoint(f"cache-{number}", f"10.0.0.{number}", 6380) for number in range(1, 101)]
    text = readme(read_certificate(client().certificate_pem), many, key=True)
    assert text.count("redis-cli --tls") == MOST
    assert f"and {100 - MOST} more" in text


def test_a_how_to_without_servers_says_what_to_put_in_their_place() -> None:
    text = readme(read_certificate(client().certificate_pem), (), key=True)
    assert "none speaks TLS yet" in text
    assert "-h HOST -p 6380" in text


def test_the_single_pem_holds_key_certificate_and_authorities() -> None:
    pem = client().as_pem()
    assert len(split(pem.reveal())) == 3
    assert matches_key(pem.reveal(), pem)


@pytest.mark.parametrize("key_type", list(KeyType))
def test_the_pkcs12_file_opens_with_its_pass_phrase(key_type: KeyType) -> None:
    bundle = client(key_type=key_type)
    made = bundle.as_pkcs12(passphrase=Secret("pässword"))
    opened = pkcs12.load_pkcs12(made, "pässword".encode())
    assert opened.cert is not None
    assert opened.cert.certificate == load(bundle.certificate_pem)
    assert opened.cert.friendly_name == b"billing"
    assert len(opened.additional_certs) == 2
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_pkcs12(made, b"another")


def test_openssl_reads_the_pkcs12_file(tmp_path: Path) -> None:
    (tmp_path / "client.p12").write_bytes(client().as_pkcs12(passphrase=Secret("word")))
    said = subprocess.run(
        ["openssl", "pkcs12", "-in", "client.p12", "-passin", "stdin", "-nokeys", "-clcerts"],
        cwd=tmp_path,
        input="word\n",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert read_certificate(said).common_name == "billing"


def test_a_pkcs12_file_without_a_pass_phrase_is_refused() -> None:
    with pytest.raises(CertificateError) as caught:
        client().as_pkcs12(passphrase=Secret(""))
    assert caught.value.code == "PassphraseMissing"


def test_a_key_that_does_not_belong_is_refused() -> None:
    with pytest.raises(CertificateError) as caught:
        ClientBundle(NEW.issue().certificate_pem, OLD.key, NEW.pem)
    assert caught.value.code == "KeyMismatch"


def test_a_client_bundle_does_not_show_its_key() -> None:
    assert "PRIVATE" not in repr(client())
