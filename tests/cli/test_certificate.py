"""``manage.py certificate``: files for their owner alone, and never over other files."""

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12
from django.utils import timezone

from addons.authorities import authority_ensure
from addons.models import Certificate
from addons.pki.facts import matches_key, read_certificate
from addons.pki.keys import KeyType
from instances.models import AuditEvent, Environment
from instances.secret import Secret
from panel.management import passphrase
from tests.cli.conftest import Call

PHRASE = "correct horse battery"


@pytest.fixture
def shop(ready: None) -> Environment:
    made = Environment.objects.create(name="shop")
    authority_ensure(environment=made, key_type=KeyType.EC_P256, now=timezone.now())
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_directory_gets_the_files_for_their_owner_alone(
    call: Call, shop: Environment, tmp_path: Path
) -> None:
    out = tmp_path / "billing"
    said = call("certificate", "issue", "shop", "billing", "--days", "30", "--out", f"{out}/")
    assert said.status == 0, said.err
    names = ["client.crt", "client.key", "root.crt", "README.txt"]
    assert said.out.splitlines() == [str(out / name) for name in names]
    assert {mode(out / name) for name in names} == {0o600}
    assert mode(out) == 0o700
    certificate = (out / "client.crt").read_text()
    assert matches_key(certificate, Secret((out / "client.key").read_text()))
    assert read_certificate(certificate).common_name == "billing"
    assert "PRIVATE" not in said.out + said.err
    record = Certificate.objects.get()
    assert (record.holder, record.once) == ("billing", None)
    assert record.downloaded_at
    verbs = AuditEvent.objects.filter(source="terminal").values_list("verb", flat=True)
    assert set(verbs) == {"certificate.issue", "certificate.download"}


@pytest.mark.parametrize("form", ["zip", "pem"])
def test_a_file_gets_the_whole(form: str, call: Call, shop: Environment, tmp_path: Path) -> None:
    out = tmp_path / "billing.any"
    said = call("certificate", "issue", "shop", "billing", "--format", form, "--out", str(out))
    assert (said.status, said.out) == (0, f"{out}\n")
    assert mode(out) == 0o600
    assert out.read_bytes().startswith(b"PK" if form == "zip" else b"-----BEGIN PRIVATE KEY")


def test_a_pkcs12_file_gets_its_pass_phrase_from_a_file_or_a_terminal(
    call: Call, shop: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = ("certificate", "issue", "shop", "billing", "--format", "pkcs12", "--out")
    (tmp_path / "phrase").write_text(f"{PHRASE}\n")
    said = call(*issue, str(tmp_path), "--passphrase-file", str(tmp_path / "phrase"))
    assert said.status == 0, said.err
    typed = iter([PHRASE, PHRASE, PHRASE, "another"])
    monkeypatch.setattr(passphrase, "interactive", lambda: True)
    monkeypatch.setattr(passphrase.getpass, "getpass", lambda _prompt: next(typed))
    assert call(*issue, str(tmp_path / "typed.p12")).status == 0
    for name in ("shop-billing.p12", "typed.p12"):
        assert pkcs12.load_pkcs12((tmp_path / name).read_bytes(), PHRASE.encode()).key
    said = call(*issue, str(tmp_path / "differing.p12"))
    assert "differ" in said.err
    assert not (tmp_path / "differing.p12").exists()


def test_a_request_is_signed_and_no_key_is_written(
    call: Call, shop: Environment, tmp_path: Path
) -> None:
    key, csr, out = tmp_path / "own.key", tmp_path / "own.csr", tmp_path / "out"
    request = ["openssl", "req", "-new", "-nodes", "-keyout", key, "-subj", "/CN=x", "-out", csr]
    subprocess.run(request, check=True, capture_output=True)
    said = call("certificate", "issue", "shop", "billing", "--csr", str(csr), "--out", f"{out}/")
    assert said.status == 0, said.err
    assert sorted(path.name for path in out.iterdir()) == ["README.txt", "client.crt", "root.crt"]
    assert matches_key((out / "client.crt").read_text(), Secret(key.read_text()))


def test_nothing_is_overwritten_and_nothing_is_issued_then(
    call: Call, shop: Environment, tmp_path: Path
) -> None:
    (tmp_path / "root.crt").write_text("mine")
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere")
    issue = ("certificate", "issue", "shop", "billing", "--out")
    for words in ((*issue, str(tmp_path)), (*issue, str(tmp_path / "link.pem"), "--format", "pem")):
        said = call(*words)
        assert said.status == 1
        assert "is there already" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.pem", "root.crt"]
    assert (tmp_path / "root.crt").read_text() == "mine"
    assert not Certificate.objects.exists()


def test_a_refusal_leaves_no_file(call: Call, shop: Environment, tmp_path: Path) -> None:
    out = str(tmp_path / "new.zip")
    for words, says in (
        (("shop", "billing", "--days", "4000"), "3650"),
        (("shop", "b" * 65), "64"),
        (("nowhere", "billing"), "nowhere"),
    ):
        said = call("certificate", "issue", *words, "--out", out)
        assert (said.status, said.out) == (1, "")
        assert says in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("--passphrase-file", "phrase"),
        ("--csr", "own.csr", "--key-type", "rsa-3072"),
        ("--format", "pkcs12"),
    ],
)
def test_what_does_not_go_together_is_bad_usage(
    words: tuple[str, ...], call: Call, shop: Environment, tmp_path: Path
) -> None:
    out = str(tmp_path / "new")
    assert call("certificate", "issue", "shop", "billing", "--out", out, *words).status == 2
    assert list(tmp_path.iterdir()) == []


def test_the_list_is_for_people_and_for_programs(
    call: Call, shop: Environment, tmp_path: Path
) -> None:
    Environment.objects.create(name="other")
    call("certificate", "issue", "shop", "billing", "--out", str(tmp_path / "a.zip"))
    (row,) = call("certificate", "list", "--of", "clients", "--json").json()
    record = Certificate.objects.get()
    assert (row["holder"], row["environments"]) == ("billing", "shop")
    assert (row["serial"], row["form"]) == (record.serial, "zip")
    assert call("certificate", "list", "other", "--json").json() == []
    said = call("certificate", "list", "shop", "--of", "clients").out
    assert "HOLDER" in said
    assert record.serial in said
    said = call("certificate", "list", "shop").out
    assert "RENEWAL" in said
    assert "By its holder" in said
    assert "authorities" in said
