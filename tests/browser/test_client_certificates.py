"""A person issues a client certificate by clicking: the password again, one file, then its page."""

import re
import zipfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, sign_in
from tests.live_panel import LivePanel, live_panel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

AUTHORITY = """
from django.utils import timezone
from addons.authorities import authority_ensure
from addons.pki.keys import KeyType
from instances.models import Environment
shop = Environment.objects.get(name="shop")
authority_ensure(environment=shop, key_type=KeyType.EC_P256, now=timezone.now())
"""
PAGE = re.compile(r"/environments/shop/-/certificates/\d+/$")


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePanel]:
    home = tmp_path_factory.mktemp("panel")
    password = home / "password"
    password.write_text(PASSWORD)
    with live_panel(home / "state") as running:
        running.set_up(
            ("administrator", "ada", "--password-file", str(password)),
            ("environment", "add", "shop"),
            ("shell", "-c", AUTHORITY),
        )
        yield running


def test_a_certificate_comes_once_and_the_page_reads_on(page: Page, panel: LivePanel) -> None:
    sign_in(page)
    page.goto("/environments/shop/")
    page.get_by_role("link", name="Client certificates").click()
    page.get_by_role("link", name="Issue certificate").click()
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_label("Pass-phrase again")).to_be_hidden()
    page.get_by_role("textbox", name="Holder").fill("billing")
    with page.expect_download() as download:
        page.get_by_role("button", name="Issue and download").click()
    assert download.value.suggested_filename == "shop-billing.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["client.crt", "client.key", "root.crt", "README.txt"]
    expect(page).to_have_url(PAGE)
    expect(page.get_by_role("heading", name="Downloaded, once")).to_be_visible()

    page.get_by_role("link", name="Re-issue").click()
    expect(page.get_by_role("textbox", name="Holder")).to_have_value("billing")
    page.get_by_label("PKCS #12 file").check()
    page.get_by_label("Pass-phrase of the file").fill("correct horse battery")
    page.get_by_label("Pass-phrase again").fill("correct horse battery")
    with page.expect_download() as download:
        page.get_by_role("button", name="Issue and download").click()
    assert download.value.suggested_filename == "shop-billing.p12"
    expect(page).to_have_url(PAGE)
