"""Certificates for clients: issued, handed out once, listed, and never kept with their keys."""

import io
import subprocess
import time
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.utils import timezone

from addons.archiving import place_archive
from addons.clients.handout import ClientRequest, Form
from addons.clients.issue import client_certificate_issue
from addons.models import Authority, Certificate, EnvironmentAuthority
from addons.pki.facts import matches_key
from addons.pki.verify import verify
from instances.errors import Conflict, Invalid, NotFound
from instances.models import AuditEvent, Environment, NodeGroup
from instances.secret import Secret
from panel.models import User
from tests.pages.conftest import confirm
from tests.pages.html import read
from tests.pages.world import VERIFIED, World

ISSUE = "/environments/shop/-/certificates/issue/"
PHRASE = "correct horse battery"


@pytest.fixture
def cache(world: World) -> NodeGroup:
    return world.group("shop", "cache")


@pytest.fixture
def shop(world: World, cache: NodeGroup) -> Environment:
    world.installed(cache, VERIFIED, VERIFIED)
    world.authority(cache.environment)
    return cache.environment


def asked(**more: Any) -> dict[str, Any]:
    usual = {
        "holder": "billing",
        "lifetime_days": "90",
        "form": "zip",
        "key_type": "ec-p256",
        "once": str(uuid4()),
    }
    return {**usual, **more}


def download(client: Client, **more: Any) -> bytes:
    """Post the form and take the file, to its end."""
    response = client.post(ISSUE, asked(**more))
    assert isinstance(response, StreamingHttpResponse), response.content.decode()
    assert "attachment" in response["Content-Disposition"]
    assert "no-store" in response["Cache-Control"]
    content = b"".join(response.streaming_content)  # type: ignore[arg-type]
    assert response["Content-Length"] == str(len(content))
    return content


def errors(client: Client, **more: Any) -> dict[str, list[str]]:
    response = client.post(ISSUE, asked(**more))
    assert response.status_code == 200
    assert not Certificate.objects.exists()
    return dict(response.context["form"].errors)


def unpacked(content: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {name: archive.read(name) for name in archive.namelist()}


def request_for(key: Path, *options: str) -> bytes:
    return subprocess.run(
        ["openssl", "req", "-new", "-nodes", "-keyout", str(key), "-subj", "/CN=default", *options],
        check=True,
        capture_output=True,
    ).stdout


def uploaded(content: bytes) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = "client.csr"
    return file


# What comes.


def test_the_archive_has_a_working_pair_what_to_trust_and_this_environments_lines(
    signed_in: Client, shop: Environment
) -> None:
    files = unpacked(download(signed_in))
    assert list(files) == ["client.crt", "client.key", "root.crt", "README.txt"]
    assert matches_key(files["client.crt"], Secret(files["client.key"].decode()))
    authority = Authority.objects.get()
    assert files["root.crt"].decode() == authority.certificate
    problem = verify(
        files["client.crt"].decode(), authority.certificate, name=None, now=timezone.now()
    )
    assert problem is None
    text = files["README.txt"].decode()
    for node in ("cache-1", "cache-2"):
        assert f"redis-cli --tls -h {node}.shop.example -p 6380 --cacert root.crt" in text
        assert f"redis.Redis('{node}.shop.example', 6380, **tls).ping()" in text


def test_the_certificate_is_a_clients_and_nothing_more(
    signed_in: Client, shop: Environment
) -> None:
    before = timezone.now().replace(microsecond=0)
    made = x509.load_pem_x509_certificate(unpacked(download(signed_in))["client.crt"])
    usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.serial_number.bit_length() > 128
    assert made.subject.rfc4514_string() == "CN=billing,O=Redoubt"
    assert before - timedelta(hours=1) <= made.not_valid_before_utc
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=90, hours=1)


def test_a_certificate_does_not_outlive_its_authority(signed_in: Client, shop: Environment) -> None:
    download(signed_in, lifetime_days="3650")
    record, authority = Certificate.objects.get(), Authority.objects.get()
    end = x509.load_pem_x509_certificate(authority.certificate.encode()).not_valid_after_utc
    assert record.not_after <= end


def test_the_pkcs12_file_opens_with_the_typed_pass_phrase_alone(
    signed_in: Client, shop: Environment
) -> None:
    content = download(signed_in, form="pkcs12", passphrase=PHRASE, again=PHRASE)
    opened = pkcs12.load_pkcs12(content, PHRASE.encode())
    assert isinstance(opened.key, ec.EllipticCurvePrivateKey)
    assert opened.cert is not None
    assert len(opened.additional_certs) == 1
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_pkcs12(content, b"another")


def test_one_pem_file_holds_key_certificate_and_authority(
    signed_in: Client, shop: Environment
) -> None:
    content = download(signed_in, form="pem", key_type="rsa-3072")
    key = load_pem_private_key(content, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    assert len(x509.load_pem_x509_certificates(content)) == 2
    assert matches_key(content, Secret(content.decode()))


def test_a_request_is_signed_for_the_holder_and_no_key_comes(
    signed_in: Client, shop: Environment, tmp_path: Path
) -> None:
    csr = request_for(tmp_path / "own.key", "-addext", "subjectAltName=DNS:redis.example")
    files = unpacked(download(signed_in, form="csr", csr=uploaded(csr)))
    assert list(files) == ["client.crt", "root.crt", "README.txt"]
    assert b"PRIVATE" not in b"".join(files.values())
    assert matches_key(files["client.crt"], Secret((tmp_path / "own.key").read_text()))
    made = x509.load_pem_x509_certificate(files["client.crt"])
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "billing"
    with pytest.raises(x509.ExtensionNotFound):
        made.extensions.get_extension_for_class(x509.SubjectAlternativeName)


# What is kept.


def test_no_key_and_no_pass_phrase_is_kept_anywhere(signed_in: Client, shop: Environment) -> None:
    files = unpacked(download(signed_in))
    download(signed_in, form="pkcs12", passphrase=PHRASE, again=PHRASE)
    secrets = [PHRASE, files["client.key"].decode().splitlines()[1]]
    rows = ""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += str(cursor.fetchall())
    assert Certificate.objects.all()[0].serial in rows
    sessions = "".join(str(each.get_decoded()) for each in Session.objects.all())
    for secret in secrets:
        assert secret not in rows + sessions


def test_issue_and_download_are_recorded_with_who_and_from_where(
    signed_in: Client, shop: Environment
) -> None:
    download(signed_in)
    record = Certificate.objects.get()
    assert (record.purpose, record.node, record.holder) == ("client", None, "billing")
    assert (record.form, record.key_type, record.issued_by) == ("zip", "ec-p256", "ada")
    assert record.downloaded_at
    issued, downloaded = AuditEvent.objects.filter(verb__startswith="certificate.").order_by("pk")
    assert (issued.verb, downloaded.verb) == ("certificate.issue", "certificate.download")
    assert issued.detail["environment"] == "shop"
    assert issued.source == downloaded.source == "127.0.0.1"
    assert record.serial in issued.target


def test_a_download_that_breaks_off_is_not_called_one(signed_in: Client, shop: Environment) -> None:
    response = signed_in.post(ISSUE, asked())
    assert isinstance(response, StreamingHttpResponse)
    assert next(iter(response))
    record = Certificate.objects.get()
    assert record.downloaded_at is None
    assert not AuditEvent.objects.filter(verb="certificate.download").exists()
    page = signed_in.get(f"/environments/shop/-/certificates/{record.pk}/").content.decode()
    assert "The download broke off" in page
    assert "Broke off" in signed_in.get("/certificates/clients/").content.decode()


# Once.


def test_a_form_gives_one_certificate_and_then_its_page(
    signed_in: Client, shop: Environment
) -> None:
    once = str(uuid4())
    download(signed_in, once=once)
    response = signed_in.post(ISSUE, asked(once=once), follow=True)
    record = Certificate.objects.get()
    assert response.redirect_chain == [(f"/environments/shop/-/certificates/{record.pk}/", 302)]
    page = response.content.decode()
    assert "nothing was downloaded again" in page
    assert "There is no second download" in page
    assert "Re-issue" in page
    refused = AuditEvent.objects.get(verb="certificate.refuse")
    assert refused.detail["reason"] == "AlreadyIssued"


def test_the_answer_tells_the_page_where_to_read_on(signed_in: Client, shop: Environment) -> None:
    once = str(uuid4())
    response = signed_in.post(ISSUE, asked(once=once))
    cookie = response.cookies[f"issued-{once}"]
    assert cookie.value == str(Certificate.objects.get().pk)
    assert cookie["path"] == "/environments/shop/-/certificates/"
    form = read(signed_in.get(ISSUE).content)
    assert [each for each in form.elements if each.attrs.get("data-read-on") == cookie["path"]]


def test_it_is_said_before_that_the_file_comes_once(signed_in: Client, shop: Environment) -> None:
    assert b"The file comes once" in signed_in.get(ISSUE).content


def test_re_issue_begins_with_the_same_holder_form_key_and_lifetime(
    signed_in: Client, shop: Environment
) -> None:
    download(signed_in, holder="päy roll", form="pem", key_type="rsa-3072", lifetime_days="30")
    line = signed_in.get("/certificates/clients/").context["lines"][0]
    form = signed_in.get(line.again).context["form"]
    shown = {name: str(form[name].value()) for name in ("holder", "form", "key_type")}
    assert shown == {"holder": "päy roll", "form": "pem", "key_type": "rsa-3072"}
    assert form["lifetime_days"].value() == "30"


# Who may, and when.


def test_a_password_typed_long_ago_is_asked_for_again(
    ada: User, shop: Environment, settings: Any
) -> None:
    client = Client()
    client.force_login(ada)
    response = client.get(f"{ISSUE}?holder=billing")
    assert response["Location"].startswith("/account/reauthenticate/?next=")
    page = client.get(response["Location"]).content.decode()
    assert "Confirm that it is you" in page
    back = client.post(
        "/account/reauthenticate/",
        {"password": "correct-horse-battery", "next": f"{ISSUE}?holder=billing"},
    )
    assert back["Location"] == f"{ISSUE}?holder=billing"
    assert client.get(back["Location"]).context["form"]["holder"].value() == "billing"
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    assert client.get(ISSUE).status_code == 302


def test_a_form_sent_too_late_issues_nothing_and_leaves_no_pass_phrase_in_the_session(
    ada: User, shop: Environment
) -> None:
    client = Client()
    client.force_login(ada)
    late = asked(form="pkcs12", passphrase=PHRASE, again=PHRASE)
    response = client.post(ISSUE, late)
    assert response.status_code == 302
    assert response["Location"].startswith(f"{ISSUE}?holder=billing&lifetime_days=90&form=pkcs12")
    assert PHRASE.split()[1] not in response["Location"]
    assert client.get(response["Location"])["Location"].startswith("/account/reauthenticate/")
    assert PHRASE not in str(dict(client.session))
    assert not Certificate.objects.exists()
    confirm(client, ada)
    assert client.get(response["Location"]).context["form"]["holder"].value() == "billing"


def test_a_wrong_password_leads_nowhere(ada: User, shop: Environment) -> None:
    client = Client()
    client.force_login(ada)
    response = client.post("/account/reauthenticate/", {"password": "wrong", "next": ISSUE})
    assert response.status_code == 200
    assert client.get(ISSUE).status_code == 302


def test_eve_gets_nothing(eve: Client, shop: Environment) -> None:
    for address in (ISSUE, "/environments/shop/-/certificates/", "/certificates/clients/"):
        assert eve.get(address)["Location"].startswith("/account/login/")
    assert eve.post(ISSUE, asked())["Location"].startswith("/account/login/")
    assert not Certificate.objects.exists()


# Refusals, at their fields.


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("holder", "", "required"),
        ("holder", "a" * 65, "64"),
        ("holder", "ü" * 33, "64 bytes"),
        ("holder", "bill\u202eing", "printable"),
        ("lifetime_days", "0", "1"),
        ("lifetime_days", "3651", "3650"),
        ("lifetime_days", "soon", "number"),
        ("form", "jks", "jks"),
        ("key_type", "rsa-1024", "rsa-1024"),
    ],
)
def test_what_is_not_acceptable_is_said_at_its_field(
    field: str, typed: str, says: str, signed_in: Client, shop: Environment
) -> None:
    found = errors(signed_in, **{field: typed})
    assert says in " ".join(found[field])


def test_a_pass_phrase_is_long_and_typed_twice(signed_in: Client, shop: Environment) -> None:
    for first, second, field, says in (
        ("", "", "passphrase", "at least 12"),
        ("short", "short", "passphrase", "at least 12"),
        (PHRASE, "another one than that", "again", "differ"),
    ):
        found = errors(signed_in, form="pkcs12", passphrase=first, again=second)
        assert says in " ".join(found[field])


def test_a_typed_pass_phrase_does_not_come_back(signed_in: Client, shop: Environment) -> None:
    response = signed_in.post(
        ISSUE, asked(holder="", form="pkcs12", passphrase=PHRASE, again=PHRASE)
    )
    assert PHRASE not in response.content.decode()
    assert "Type it again" in response.content.decode()


def altered(csr: bytes) -> bytes:
    lines = csr.splitlines()
    lines[2] = lines[2].swapcase()
    return b"\n".join(lines)


def test_a_bad_request_is_said_at_its_field_and_logged(
    signed_in: Client, shop: Environment, tmp_path: Path
) -> None:
    weak = request_for(tmp_path / "weak.key", "-newkey", "rsa:1024")
    edwards = request_for(tmp_path / "ed.key", "-newkey", "ed25519")
    for csr, says in (
        (weak, "must be EC"),
        (edwards, "must be EC"),
        (altered(weak), "re"),
        (b"hello", "not a signing request"),
        (b"\xff\x00", "not a signing request"),
        (b"x" * 70000, "too large"),
    ):
        found = errors(signed_in, form="csr", csr=uploaded(csr))
        assert says in " ".join(found["csr"]), found
    assert "Choose the file" in errors(signed_in, form="csr")["csr"][0]
    refused = AuditEvent.objects.filter(verb="certificate.refuse")
    reasons = {(each.detail["field"], each.detail["form"]) for each in refused}
    assert reasons == {("csr", "csr")}
    assert refused.count() == 5


def test_without_an_authority_the_list_says_how_to_come_by_one(
    signed_in: Client, cache: NodeGroup, world: World
) -> None:
    response = signed_in.get(ISSUE, follow=True)
    assert response.redirect_chain[-1][0] == "/environments/shop/-/certificates/"
    assert b"No authority yet" in response.content
    with pytest.raises(NotFound):
        client_certificate_issue(
            actor=world.actor,
            environment=cache.environment,
            request=ClientRequest("billing"),
            now=timezone.now(),
        )


def test_an_ended_authority_issues_nothing(world: World, shop: Environment) -> None:
    with pytest.raises(Conflict) as caught:
        client_certificate_issue(
            actor=world.actor,
            environment=shop,
            request=ClientRequest("billing"),
            now=timezone.now() + timedelta(days=5000),
        )
    assert caught.value.reason.code in {"AuthorityExpired", "NoValidAuthority"}
    assert AuditEvent.objects.filter(verb="certificate.refuse").count() == 1


def test_the_service_judges_what_no_form_has_shaped(world: World, shop: Environment) -> None:
    for request, field in (
        (ClientRequest(""), "holder"),
        (ClientRequest("billing", lifetime_days=9999), "lifetime_days"),
        (ClientRequest("billing", form=Form.PKCS12), "passphrase"),
        (ClientRequest("billing", form=Form.CSR), "csr"),
    ):
        with pytest.raises(Invalid) as caught:
            client_certificate_issue(
                actor=world.actor, environment=shop, request=request, now=timezone.now()
            )
        assert caught.value.field == field


# Lists and pages.


def holders(client: Client, address: str) -> list[str]:
    return [line.certificate.holder for line in client.get(address).context["lines"]]


def test_an_environment_lists_its_own_and_the_overview_all(
    signed_in: Client, world: World, shop: Environment
) -> None:
    other = world.group("other", "queue").environment
    world.authority(other)
    world.client_certificate(shop, "billing", lifetime_days=20)
    world.client_certificate(shop, "agent", lifetime_days=300)
    world.client_certificate(other, "crawler", lifetime_days=5)
    assert holders(signed_in, "/environments/shop/-/certificates/") == ["agent", "billing"]
    assert holders(signed_in, "/environments/other/-/certificates/") == ["crawler"]
    every = "/certificates/clients/"
    assert holders(signed_in, every) == ["crawler", "agent", "billing"]
    assert holders(signed_in, f"{every}?sort=ends") == ["crawler", "billing", "agent"]
    assert holders(signed_in, f"{every}?sort=holder") == ["agent", "billing", "crawler"]
    assert holders(signed_in, f"{every}?q=bill") == ["billing"]
    assert holders(signed_in, f"{every}?q={Certificate.objects.first().serial}")  # type: ignore[union-attr]
    assert holders(signed_in, f"{every}?environment=oth") == ["crawler"]
    assert holders(signed_in, f"{every}?ends=7") == ["crawler"]
    assert holders(signed_in, f"{every}?ends=never") == []
    place_archive(actor=world.actor, place=other, now=timezone.now())
    assert holders(signed_in, every) == ["agent", "billing"]


def test_a_clients_certificate_is_found_by_typing(
    signed_in: Client, world: World, shop: Environment
) -> None:
    made = world.client_certificate(shop, "billing").certificate
    for text in ("bill", made.serial):
        page = signed_in.get("/search/", {"q": text}).content.decode()
        assert f"/environments/shop/-/certificates/{made.pk}/" in page


def test_a_shared_authoritys_certificates_stand_with_each_environment_that_they_open(
    signed_in: Client, world: World, shop: Environment
) -> None:
    other = world.group("other", "queue").environment
    EnvironmentAuthority.objects.create(environment=other, authority=Authority.objects.get())
    world.client_certificate(shop, "billing")
    assert holders(signed_in, "/environments/other/-/certificates/") == ["billing"]
    line = signed_in.get("/certificates/clients/").context["lines"][0]
    assert [each.name for each in line.environments] == ["other", "shop"]


def test_nodes_own_client_certificates_are_not_among_them(
    signed_in: Client, world: World, shop: Environment, cache: NodeGroup
) -> None:
    node = cache.nodes.first()
    assert node
    world.certificate(Authority.objects.get(), node, 90, purpose="client")
    assert holders(signed_in, "/certificates/clients/") == []
    assert b"No client certificates yet" in signed_in.get("/certificates/clients/").content


def test_a_page_shows_how_each_form_is_used(
    signed_in: Client, world: World, shop: Environment
) -> None:
    for form, cli, more in (
        (Form.ZIP, "--cert client.crt --key client.key", "unpacked"),
        (Form.PEM, "--cert shop-app.pem --key shop-app.pem", "shop-app.pem"),
        (Form.PKCS12, "--cert shop-app.pem --key shop-app.pem", "openssl pkcs12 -in shop-app.p12"),
    ):
        made = world.client_certificate(shop, "app", form=form, passphrase=Secret(PHRASE))
        assert made.name.startswith("shop-app.")
        page = signed_in.get(
            f"/environments/shop/-/certificates/{made.certificate.pk}/"
        ).content.decode()
        assert cli in page
        assert more in page
        assert made.certificate.fingerprint in page
    assert signed_in.get("/environments/shop/-/certificates/0/").status_code == 404


def test_a_name_that_is_no_file_name_does_not_become_one(world: World, shop: Environment) -> None:
    made = world.client_certificate(shop, '../"evil"\\ \u00fc')
    assert made.name == "shop-..-evil.zip"
    assert made.certificate.holder == '../"evil"\\ \u00fc'


def test_a_handout_does_not_show_its_key(world: World, shop: Environment) -> None:
    assert "PRIVATE" not in repr(world.client_certificate(shop, "app", form=Form.PEM))


def test_making_one_is_quick(world: World, shop: Environment) -> None:
    begun = time.monotonic()
    world.client_certificate(shop, "app")
    assert time.monotonic() - begun < 5
