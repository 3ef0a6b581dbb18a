"""A browser, and a page that is held to what the panel promises."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.live_panel import LivePanel

PASSWORD = "a quite long pass-phrase 7"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser, panel: LivePanel) -> Iterator[Page]:
    """A page whose console, failed requests and requests elsewhere are held against the test."""
    context = chromium.new_context(base_url=panel.url)
    found = context.new_page()
    complaints: list[str] = []
    found.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on(
        "request",
        lambda r: None if r.url.startswith((panel.url, "data:")) else complaints.append(r.url),
    )
    yield found
    context.close()
    assert complaints == []


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def authority(panel: LivePanel) -> str:
    return panel.manage("authority", "export", "shop").stdout.decode()
