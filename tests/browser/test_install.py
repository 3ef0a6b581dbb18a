"""A person signs in, installs encryption by clicking, and a TLS PING from outside is answered."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from lab import Lab, LabNode, NodeSpec
from tests.browser.conftest import PASSWORD, authority, sign_in
from tests.crash.node_state import closed, tls_ping
from tests.live_panel import LivePanel, live_panel

pytestmark = [pytest.mark.browser, pytest.mark.lab, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def host() -> Iterator[LabNode]:
    lab = Lab(name="test-browser")
    yield lab.up([NodeSpec(name="cache-1")])[0]
    lab.down()


@pytest.fixture(scope="module")
def panel(host: LabNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePanel]:
    home = tmp_path_factory.mktemp("panel")
    password = home / "password"
    password.write_text(PASSWORD)
    with live_panel(home / "state") as running:
        for argv in (
            ("administrator", "ada", "--password-file", str(password)),
            ("environment", "add", "shop"),
            ("credential", "add", "lab", "--private-key", host.identity),
            (
                "node",
                "add",
                "shop",
                "cache",
                host.address,
                "--name",
                "cache-1",
                "--host-key",
                host.host_key,
            ),
        ):
            done = running.manage(*argv)
            assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        yield running


def test_a_person_installs_and_uninstalls_encryption_by_clicking(
    page: Page, panel: LivePanel, host: LabNode
) -> None:
    sign_in(page)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()

    page.get_by_role("link", name="shop", exact=True).first.click()
    page.get_by_role("link", name="cache").first.click()
    page.get_by_role("main").get_by_role("link", name="Add-ons").click()
    page.get_by_role("link", name="Install", exact=True).click()
    page.get_by_label("TLS port").fill("6390")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("tls-port 6390").first).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Install on 1 node").click()
    expect(page.get_by_text("verified from the panel")).to_be_visible(timeout=30_000)
    assert tls_ping(host.address, authority(panel), 6390) == b"+PONG\r\n"

    page.goto("/environments/shop/cache/addons/")
    expect(page.get_by_text("TLSv1.3, verified")).to_be_visible()
    page.get_by_role("button", name="More for Encryption in transit").click()
    page.get_by_role("button", name="Uninstall…").click()
    page.get_by_role("button", name="Show the preview").click()
    page.get_by_role("button", name="Uninstall from 1 node").click(timeout=20_000)
    expect(page.get_by_text("TLS is off, the plain port answers as before")).to_be_visible(
        timeout=30_000
    )
    assert closed(host.address, 6390)


def test_the_terminal_installs_and_tells_the_same(panel: LivePanel, host: LabNode) -> None:
    done = panel.manage("addon", "install", "shop", "cache", "encryption", "--yes", "--json")
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["state"] == "succeeded"
    assert tls_ping(host.address, authority(panel)) == b"+PONG\r\n"
    done = panel.manage("addon", "uninstall", "shop", "cache", "encryption", "--yes")
    assert done.returncode == 0, done.stderr.decode()
    assert closed(host.address)


def test_a_failing_install_ends_with_an_exit_code_and_a_cause(
    panel: LivePanel, host: LabNode
) -> None:
    port = ("--set", "tls_port=22")
    done = panel.manage("addon", "install", "shop", "cache", "encryption", "--yes", *port)
    assert done.returncode == 1
    assert b"port 22 is in use" in done.stdout + done.stderr
    unknown = panel.manage(
        "addon", "install", "shop", "cache", "encryption", "--yes", "--set", "tls=1"
    )
    assert unknown.returncode != 0
    assert b"There is no setting" in unknown.stderr
