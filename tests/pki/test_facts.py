import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from addons.pki.errors import CertificateError
from addons.pki.facts import LeafFacts, load, matches_key, read_certificate
from addons.pki.keys import read_signing_key
from instances.secret import Secret

from .conftest import Authority


def test_facts_survive_json(authority: Authority) -> None:
    facts = authority.issue().public
    assert LeafFacts.from_json(json.loads(json.dumps(facts.as_json()))) == facts


def test_der_and_pem_give_the_same_facts(authority: Authority) -> None:
    leaf = authority.issue()
    assert read_certificate(load(leaf.certificate_pem).public_bytes(Encoding.DER)) == leaf.public


def test_the_fingerprint_and_serial_are_those_that_openssl_prints(
    authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.issue()
    (tmp_path / "leaf.crt").write_text(leaf.certificate_pem)
    said = subprocess.run(
        ["openssl", "x509", "-in", "leaf.crt", "-noout", "-fingerprint", "-sha256", "-serial"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert leaf.public.fingerprint_sha256 in said
    assert f"={leaf.public.serial.upper().zfill(4)}" in said


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "Empty"),
        ("  \n", "Empty"),
        ("hello", "Unreadable"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "Unreadable"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PrivateKeyGiven"),
    ],
)
def test_what_is_not_a_certificate_is_named(text: str, code: str) -> None:
    with pytest.raises(CertificateError) as caught:
        read_certificate(text)
    assert caught.value.code == code


def test_a_truncated_certificate_is_unreadable(authority: Authority) -> None:
    der = load(authority.pem).public_bytes(Encoding.DER)
    with pytest.raises(CertificateError):
        read_certificate(der[:-10])


@given(st.binary() | st.text())
def test_rubbish_raises_this_rooms_error_alone(rubbish: str | bytes) -> None:
    with pytest.raises(CertificateError):
        read_certificate(rubbish)


def test_a_key_with_a_pass_phrase_is_named(authority: Authority) -> None:
    locked = read_signing_key(authority.key).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")
    )
    with pytest.raises(CertificateError) as caught:
        matches_key(authority.pem, Secret(locked.decode()))
    assert caught.value.code == "KeyEncrypted"


def test_an_unreadable_key_does_not_show_in_the_error(authority: Authority) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    with pytest.raises(CertificateError) as caught:
        matches_key(authority.pem, Secret(pem))
    assert caught.value.code == "KeyUnreadable"
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None
