"""Client certificates against a server that requires one: each form of download, used."""

import io
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from django.core.management import call_command
from django.test import Client

from addons.models import Certificate
from instances.models import KeyCheck
from instances.vault import key_ring
from panel.models import User
from tests.acceptance.outside import ping_over_tls
from tests.acceptance.stage import Stage
from tests.pages.conftest import confirm

pytestmark = pytest.mark.lab

PHRASE = "correct horse battery"
PORT = 6380
Download = Callable[..., bytes]


@pytest.fixture
def download(stage: Stage) -> Download:
    """Issue on the page, as a person does, and take the file."""
    anna = User.objects.create_user("anna", password="x")
    client = Client()
    client.force_login(anna)
    confirm(client, anna)

    def issue(form: str, **more: object) -> bytes:
        asked = {"holder": f"app-{form}", "lifetime_days": 30, "form": form, "once": uuid4()}
        asked |= {"key_type": "ec-p256", **more}
        response = client.post("/environments/acceptance/-/certificates/issue/", asked)
        return b"".join(response.streaming_content)  # type: ignore[attr-defined]

    return issue


def unzip(content: bytes, into: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(into)
    return into


def redis_cli(address: str, *files: str | Path) -> str:
    argv = ["redis-cli", "--tls", "-h", address, "-p", str(PORT), *map(str, files), "PING"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    return f"{done.stdout}{done.stderr}"


def redis_py(address: str, trust: Path, certificate: Path, key: Path) -> bool:
    with redis.Redis(
        address,
        PORT,
        ssl=True,
        ssl_ca_certs=str(trust),
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
    ) as client:
        return bool(client.ping())


def gets_in(address: str, trust: Path, certificate: Path, key: Path) -> None:
    """Insist that redis-cli, redis-py and openssl all get in with these files."""
    files = ("--cacert", trust, "--cert", certificate, "--key", key)
    assert redis_cli(address, *files) == "PONG\n"
    assert redis_py(address, trust, certificate, key)
    assert "+PONG" in ping_over_tls(address, trust, client=(certificate, key))


@pytest.mark.parametrize("name", ["cache", pytest.param("valkey", marks=pytest.mark.long)])
def test_each_form_of_download_opens_a_server_that_requires_a_certificate(
    name: str, stage: Stage, download: Download, tmp_path: Path
) -> None:
    stage.register(name)
    stage.panel.install(name, tls_auth_clients="required")
    address, root = stage.address(name), stage.root

    # The archive, and its own lines.
    files = unzip(download("zip"), tmp_path / "zip")
    gets_in(address, files / "root.crt", files / "client.crt", files / "client.key")
    line = f"redis-cli --tls -h {address} -p {PORT} --cacert root.crt --cert client.crt"
    how_to = (files / "README.txt").read_text()
    assert line in how_to
    said = [each.strip() for each in how_to.splitlines() if line in each]
    done = subprocess.run(said[0], shell=True, cwd=files, capture_output=True, timeout=20)
    assert done.stdout == b"PONG\n"

    # One PEM file is all three.
    pem = tmp_path / "one.pem"
    pem.write_bytes(download("pem", key_type="rsa-3072"))
    gets_in(address, pem, pem, pem)

    # PKCS #12, by the line that the page shows.
    (tmp_path / "a.p12").write_bytes(download("pkcs12", passphrase=PHRASE, again=PHRASE))
    unpack = ["openssl", "pkcs12", "-in", "a.p12", "-nodes", "-out", "a.pem", "-passin", "stdin"]
    subprocess.run(unpack, cwd=tmp_path, input=f"{PHRASE}\n".encode(), check=True)
    gets_in(address, tmp_path / "a.pem", tmp_path / "a.pem", tmp_path / "a.pem")

    # A request: the key never was in the panel.
    key = tmp_path / "own.key"
    request = ["openssl", "req", "-new", "-nodes", "-keyout", str(key), "-subj", "/CN=root"]
    csr = io.BytesIO(subprocess.run(request, check=True, capture_output=True).stdout)
    csr.name = "own.csr"
    signed = unzip(download("csr", csr=csr), tmp_path / "signed")
    gets_in(address, signed / "root.crt", signed / "client.crt", key)

    # The terminal.
    KeyCheck.objects.create(token=key_ring().check_token())
    out = tmp_path / "terminal"
    call_command("certificate", "issue", "acceptance", "job", "--out", f"{out}/")
    gets_in(address, out / "root.crt", out / "client.crt", out / "client.key")
    assert Certificate.objects.filter(purpose="client", node=None).count() == 5

    # Nobody else: no certificate, or one by another authority.
    assert "PONG" not in redis_cli(address, "--cacert", root)
    assert "+PONG" not in ping_over_tls(address, root)
    with pytest.raises(redis.ConnectionError):
        redis.Redis(address, PORT, ssl=True, ssl_ca_certs=str(root)).ping()
    strange, made = tmp_path / "strange.key", tmp_path / "strange.crt"
    own = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=app-zip,O=Redoubt", "-out", str(made)]
    subprocess.run([*own, "-keyout", str(strange)], check=True, capture_output=True)
    assert "PONG" not in redis_cli(address, "--cacert", root, "--cert", made, "--key", strange)

    stage.panel.uninstall(name)
