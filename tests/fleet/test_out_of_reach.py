"""Every machine is cut off: pages answer as fast as ever, and say what is not known any more."""

import json
import statistics
import time
from collections.abc import Iterator

import pytest

from lab import Lab, LabNode, NodeSpec
from tests.fleet.visitor import Visitor
from tests.labs import fresh, name_of_lab
from tests.live_panel import LivePanel, live_panel

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

LAB = name_of_lab("cut")
PASSWORD = "a quite long pass-phrase 7"
PAGES = (
    "/",
    "/environments/",
    "/environments/shop/",
    "/environments/shop/cache/",
    "/environments/shop/cache/addons/",
    "/environments/shop/cache/addons/encryption/install/",
    "/environments/shop/cache/connect/",
    "/environments/shop/cache/runs/",
    "/nodes/",
    "/nodes/1/",
    "/nodes/1/edit/",
    "/certificates/",
    "/certificates/authorities/",
    "/archive/",
    "/keys/",
    "/addons/",
    "/runs/",
    "/runs/1/",
    "/search/?q=node",
    "/audit/",
)
SLACK_SECONDS = 0.15
CONNECT_SECONDS = 5.0
PATIENCE_SECONDS = 40.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh(Lab(name=LAB)) as found:
        yield found


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> list[LabNode]:
    return lab.up([NodeSpec(name=f"node-{number}") for number in range(1, 7)])


@pytest.fixture(scope="module")
def panel(hosts: list[LabNode], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePanel]:
    home = tmp_path_factory.mktemp("panel")
    (home / "password").write_text(PASSWORD)
    with live_panel(home / "state") as running:
        running.set_up(
            ("administrator", "ada", "--password-file", str(home / "password")),
            ("environment", "add", "shop"),
            ("credential", "add", "lab", "--private-key", hosts[0].identity),
            *(_registration(host) for host in hosts),
            ("addon", "install", "shop", "cache", "encryption", "--yes"),
        )
        try:
            yield running
        finally:
            print(running.log.read_text()[-5000:])


def _registration(host: LabNode) -> tuple[str, ...]:
    named = ("--name", host.name, "--host-key", host.host_key)
    return ("node", "add", "shop", "cache", host.address, *named)


def _wait_for_faults(panel: LivePanel, count: int) -> list[dict[str, str]]:
    """The causes, once each node has one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        listed = json.loads(panel.manage("node", "list", "--json").stdout)
        faults = [node["fault"] for node in listed if node["fault"]]
        if len(faults) == count or time.monotonic() > deadline:
            return faults
        time.sleep(0.3)


def test_no_page_waits_for_a_node(lab: Lab, hosts: list[LabNode], panel: LivePanel) -> None:
    ada = Visitor(panel.url)
    ada.sign_in("ada", PASSWORD)
    usual = {page: ada.seconds(page) for page in PAGES}
    for host in hosts:
        lab.cut(host.name)

    asked, clicks = time.monotonic(), []
    for number in range(1, len(hosts) + 1):
        began = time.monotonic()
        page = ada.post(f"/nodes/{number}/", f"/nodes/{number}/look/")
        clicks.append(time.monotonic() - began)
        assert "asked=" in page
    # Once each, so the machine may have had something else to do meanwhile.
    assert max(clicks) < CONNECT_SECONDS / 2
    assert statistics.median(clicks) < 1 + 2 * usual["/nodes/1/"]
    # While the workers wait for nodes that do not answer:
    during = {page: ada.seconds(page, times=3) for page in PAGES}
    faults = _wait_for_faults(panel, len(hosts))
    took = time.monotonic() - asked
    after = {page: ada.seconds(page) for page in PAGES}

    assert {fault["reason"] for fault in faults} <= {"ConnectTimeout", "NoRoute"}
    assert len(faults) == len(hosts)
    assert all(fault["next_step"] for fault in faults)
    for name, seen in (("during", during), ("after", after)):
        slow = {p: (usual[p], seen[p]) for p in PAGES if seen[p] > 1.5 * usual[p] + SLACK_SECONDS}
        assert not slow, name
    shown = ada.get("/nodes/1/")
    assert "No answer" in shown
    assert faults[0]["next_step"][:30] in shown
    for age in ("Last look <time", "What stands below was seen <time"):
        assert age in shown
    assert "7.0.15" in shown, "what was last seen stays in sight"
    assert "No answer" in ada.get("/environments/shop/cache/")
    worst = max(after.values())
    print(f"{len(hosts)} looks ended in {took:.1f} s; slowest page {worst * 1000:.0f} ms")
