"""A newcomer's whole way, from an empty panel to servers that answer over TLS, and back."""

import json
import re
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Page, expect

from lab import Lab, LabNode, NodeSpec
from tests.browser.conftest import PASSWORD, authority, sign_in
from tests.crash.node_state import closed, tls_ping
from tests.labs import fresh, name_of_lab
from tests.live_panel import LivePanel, live_panel

pytestmark = [pytest.mark.browser, pytest.mark.lab, pytest.mark.timeout(240)]

GROUPS = {"cache": ("cache-1", "cache-2"), "queue": ("queue-1",)}
NODES = tuple(name for names in GROUPS.values() for name in names)
LET_IN = """printf '%s\\n' "$1" >> /root/.ssh/authorized_keys"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh(Lab(name=name_of_lab("newcomer"))) as lab:
        yield lab


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> dict[str, LabNode]:
    return {host.name: host for host in lab.up([NodeSpec(name=name) for name in NODES])}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePanel]:
    """A panel as it is after its installation: an administrator, and nothing else."""
    home = tmp_path_factory.mktemp("panel")
    (home / "password").write_text(PASSWORD)
    with live_panel(home / "state") as running:
        made = running.manage("administrator", "ada", "--password-file", str(home / "password"))
        assert made.returncode == 0, made.stderr.decode()
        yield running


def test_a_newcomer_encrypts_two_groups_and_takes_it_away_from_one(
    page: Page, panel: LivePanel, lab: Lab, hosts: dict[str, LabNode]
) -> None:
    sign_in(page)
    expect(page.get_by_role("heading", name="Encrypt your first Redis server")).to_be_visible()
    let_the_panel_in(lab, key_made(page))

    go_to(page, "Dashboard")
    page.get_by_role("link", name="Make an environment").click()
    name_it(page, "shop")
    name_it(page, "cache")
    add_by_a_list(page, [hosts[name] for name in GROUPS["cache"]])
    page.get_by_role("link", name="shop", exact=True).first.click()
    page.get_by_role("link", name="Add node group").first.click()
    name_it(page, "queue")
    add_by_a_list(page, [hosts[name] for name in GROUPS["queue"]])

    install_on_both(page)
    ca = authority(panel)
    for host in hosts.values():
        assert tls_ping(host.address, ca) == b"+PONG\r\n"

    uninstall(page, "cache")
    for name, host in hosts.items():
        assert closed(host.address) is (name in GROUPS["cache"])


def go_to(page: Page, name: str) -> None:
    page.get_by_label("Pages").get_by_role("link", name=name).click()


def name_it(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("main").locator("button[type=submit]").click()


def key_made(page: Page) -> str:
    """Have the panel make a key; return the line that it shows."""
    go_to(page, "SSH keys")
    page.get_by_role("link", name="Add a key").click()
    name_it(page, "default")
    return page.locator("#key-line-default").inner_text()


def let_the_panel_in(lab: Lab, line: str) -> None:
    assert line.startswith("ssh-ed25519 ")
    for name in NODES:
        assert lab.exec(name, ["bash", "-c", LET_IN, "bash", line]).returncode == 0


def add_by_a_list(page: Page, hosts: Sequence[LabNode]) -> None:
    """Paste a list, compare the fingerprints with the machines' own, and see them logged in to."""
    page.get_by_role("link", name="Add many").first.click()
    page.get_by_label("List of nodes").fill("\n".join(f"{h.address} {h.name}" for h in hosts))
    page.get_by_role("button", name="Show what it says").click()
    page.get_by_role("button", name=re.compile("^Add [12] nodes?$")).click()
    for host in hosts:
        row = page.get_by_role("row").filter(has_text=host.name)
        expect(row).to_contain_text(host.host_key, timeout=20_000)
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Confirm the ticked").click()
    page.get_by_role("link", name="See the nodes").click()
    for host in hosts:
        row = page.get_by_role("row").filter(has_text=host.name)
        for _ in range(60):
            if row.get_by_text("Reachable").count():
                break
            page.wait_for_timeout(500)
            page.reload()
        expect(row).to_contain_text("Reachable")


def install_on_both(page: Page) -> None:
    """From the catalogue to two verified groups, watched without a reload."""
    polls: list[int] = []
    go_to(page, "Add-ons")
    page.get_by_role("link", name="Install", exact=True).click()
    for group in GROUPS:
        page.get_by_role("checkbox", name=group).check()
    page.get_by_role("button", name="Show the preview").click()
    expect(page.get_by_text("tls-port 6380").first).to_be_visible(timeout=40_000)
    page.on("response", lambda r: polls.append(r.status) if "?seen=" in r.url else None)
    with page.expect_navigation() as came:
        page.get_by_role("button", name="Install on 2 groups").click(timeout=40_000)
    assert came.value
    all_done = "2 of 2 groups, 3 of 3 nodes done"
    over = all_done in came.value.text()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text(all_done)).to_be_visible(timeout=60_000)
    # On a quick machine the very first poll says that all is done: 286, htmx's word for "stop".
    assert polls or over, "what is shown came neither with the page nor while it was watched"
    expect(page.get_by_text("verified from the panel")).to_have_count(len(NODES))


def uninstall(page: Page, group: str) -> None:
    page.goto(f"/environments/shop/{group}/addons/")
    page.get_by_role("button", name="More for Encryption in transit").click()
    page.get_by_role("button", name="Uninstall…").click()
    expect(page.get_by_text("Clients that use it lose their connection")).to_be_visible()
    page.get_by_role("button", name="Show the preview").click()
    page.get_by_role("button", name="Uninstall from 2 nodes").click(timeout=20_000)
    off = page.get_by_text("TLS is off, the plain port answers as before")
    expect(off).to_have_count(len(GROUPS[group]), timeout=40_000)


def test_the_terminal_installs_and_tells_the_same(
    panel: LivePanel, hosts: dict[str, LabNode]
) -> None:
    done = panel.manage("addon", "install", "shop", "cache", "encryption", "--yes", "--json")
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["state"] == "succeeded"
    assert tls_ping(hosts["cache-1"].address, authority(panel)) == b"+PONG\r\n"
    done = panel.manage("addon", "uninstall", "shop", "cache", "encryption", "--yes")
    assert done.returncode == 0, done.stderr.decode()
    assert closed(hosts["cache-1"].address)


def test_a_failing_install_ends_with_an_exit_code_and_a_cause(
    panel: LivePanel, hosts: dict[str, LabNode]
) -> None:
    asked = ("addon", "install", "shop", "cache", "encryption", "--yes", "--set")
    done = panel.manage(*asked, "tls_port=22")
    assert done.returncode == 1
    assert b"port 22 is in use" in done.stdout + done.stderr
    unknown = panel.manage(*asked, "tls=1")
    assert unknown.returncode != 0
    assert b"There is no setting" in unknown.stderr
