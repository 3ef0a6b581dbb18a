"""A browser, and a page that is held to what the panel promises."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.live_panel import LivePanel

# A machine that is busy with other tests takes its time.
expect.set_options(timeout=20_000)

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


# Chromium tells of a refused inline style in the console; of what a script does, only so.
TELL_OF_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  tellOfViolation(`${event.effectiveDirective} refuses ${event.blockedURI || "inline"}`));
"""


@pytest.fixture
def page(chromium: Browser, panel: LivePanel) -> Iterator[Page]:
    """A page that no script, style or request may go wrong on, whatever else its test looks at."""
    context = chromium.new_context(base_url=panel.url)
    errors: list[str] = []
    elsewhere: list[str] = []
    violations: list[str] = []
    context.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on(
        "request",
        lambda r: None if r.url.startswith((panel.url, "data:")) else elsewhere.append(r.url),
    )
    context.expose_binding("tellOfViolation", lambda _source, text: violations.append(text))
    context.add_init_script(TELL_OF_VIOLATIONS)
    yield context.new_page()
    context.close()
    assert errors == []
    assert elsewhere == []
    assert violations == []


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def authority(panel: LivePanel) -> str:
    return panel.manage("authority", "export", "shop").stdout.decode()
