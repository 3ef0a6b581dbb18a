"""Two node groups by one click: previewed together, one left out, both installed, a retry."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lab import Lab, LabNode, NodeSpec
from tests.browser.conftest import PASSWORD, authority, sign_in
from tests.crash.node_state import tls_ping
from tests.labs import fresh, name_of_lab
from tests.live_panel import LivePanel, live_panel

pytestmark = [pytest.mark.browser, pytest.mark.lab, pytest.mark.timeout(240)]

SECRET = "the-password-that-no-report-holds"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh(Lab(name=name_of_lab("several"))) as lab:
        yield lab


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> dict[str, LabNode]:
    specs = [NodeSpec(name="one", password=SECRET), NodeSpec(name="two"), NodeSpec(name="three")]
    return {host.name: host for host in lab.up(specs)}


@pytest.fixture(scope="module")
def panel(
    hosts: dict[str, LabNode], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LivePanel]:
    home = tmp_path_factory.mktemp("panel")
    (home / "password").write_text(PASSWORD)
    (home / "server").write_text(SECRET)
    with live_panel(home / "state") as running:
        running.set_up(
            ("administrator", "ada", "--password-file", str(home / "password")),
            ("environment", "add", "shop"),
            ("credential", "add", "lab", "--private-key", hosts["one"].identity),
            registration("cache", hosts["one"], "--server-password-file", str(home / "server")),
            registration("cache", hosts["two"]),
            registration("queue", hosts["three"]),
        )
        yield running


def registration(group: str, host: LabNode, *more: str) -> tuple[str, ...]:
    known = ("--name", host.name, "--host-key", host.host_key)
    return ("node", "add", "shop", group, host.address, *known, *more)


def occupy(lab: Lab, node: str, port: int) -> None:
    listen = ["systemd-socket-activate", "-l", str(port), "/bin/cat"]
    assert lab.exec(node, ["systemd-run", "--unit=taken", *listen]).returncode == 0


def ask_for_both(page: Page, port: int) -> None:
    """From the catalogue to the preview of both groups."""
    page.get_by_label("Pages").get_by_role("link", name="Add-ons").click()
    page.get_by_role("link", name="Install", exact=True).click()
    for group in ("cache", "queue"):
        page.get_by_role("checkbox", name=group).check()
    page.get_by_label("TLS port").fill(str(port))
    page.get_by_role("button", name="Show the preview").click()


def test_a_group_that_is_refused_is_left_out_and_said(
    page: Page, lab: Lab, panel: LivePanel
) -> None:
    occupy(lab, "three", 6380)
    sign_in(page)
    ask_for_both(page, 6380)
    expect(page.get_by_role("button", name="Install on 1 group")).to_be_visible(timeout=40_000)
    expect(page.get_by_text("port 6380 is in use")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("The previews are discarded")).to_be_visible()
    lab.exec("three", ["systemctl", "stop", "taken"])


def test_both_groups_are_installed_and_every_viewer_sees_the_same(
    page: Page, panel: LivePanel, hosts: dict[str, LabNode]
) -> None:
    sign_in(page)
    ask_for_both(page, 6380)
    confirm = page.get_by_role("button", name="Install on 2 groups")
    expect(confirm).to_be_visible(timeout=40_000)
    second = page.context.new_page()
    second.goto(page.url)
    confirm.click()
    for viewer in (page, second):
        expect(viewer.get_by_text("2 of 2 groups, 3 of 3 nodes done")).to_be_visible(timeout=60_000)
    late = page.context.new_page()
    late.goto(page.url)
    # The second one's page comes to it by a poll.
    told = late.locator("#story").inner_text()
    expect(second.locator("#story")).to_have_text(told, use_inner_text=True)
    ca = authority(panel)
    assert tls_ping(hosts["one"].address, ca).startswith(b"-NOAUTH")
    for name in ("two", "three"):
        assert tls_ping(hosts[name].address, ca) == b"+PONG\r\n"


def test_what_failed_is_retried_and_its_report_holds_no_password(
    page: Page, lab: Lab, panel: LivePanel, hosts: dict[str, LabNode]
) -> None:
    occupy(lab, "three", 6390)
    sign_in(page)
    ask_for_both(page, 6390)
    page.get_by_role("button", name="Apply on 1 group").click(timeout=40_000)
    expect(page.get_by_role("button", name="Retry on 1 group")).to_be_visible(timeout=60_000)
    lab.exec("three", ["systemctl", "stop", "taken"])
    page.get_by_role("button", name="Retry on 1 group").click()
    page.get_by_role("button", name="Apply on 1 node").click(timeout=40_000)
    expect(page.get_by_text("verified from the panel").first).to_be_visible(timeout=60_000)
    ca = authority(panel)
    assert tls_ping(hosts["three"].address, ca, 6390) == b"+PONG\r\n"
    assert tls_ping(hosts["one"].address, ca, 6390).startswith(b"-NOAUTH")

    page.goto("/runs/?state=succeeded")
    page.get_by_role("link", name=re.compile(r"^\d+$")).last.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download report").click()
    text = Path(download.value.path()).read_text()
    assert ": Done" in text
    assert "tls-port 6380" in text
    assert SECRET not in text
