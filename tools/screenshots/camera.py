"""A browser that takes the pictures."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tools.screenshots.day import NOW, PASSWORD, USER
from tools.screenshots.pages import Shot

Theme = Literal["light", "dark"]
WIDTHS = {1440: 900, 390: 844}
"""Widths with the height of their screens."""
THEMES: Sequence[Theme] = ("light", "dark")
_TALLEST = 3200
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--font-render-hinting=none", "--disable-lcd-text")


@dataclass(frozen=True, slots=True)
class View:
    """How a page is looked at."""

    width: int
    theme: Theme

    @property
    def suffix(self) -> str:
        """Return what tells its pictures from those of other views."""
        return f"{self.width}-{self.theme}"


VIEWS = [View(width, theme) for width in WIDTHS for theme in THEMES]


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(_ARGUMENTS)
        )
        yield found
        found.close()


@contextmanager
def looking(chromium: Browser, url: str) -> Iterator[Page]:
    """Open a page in a browser of its own, whose clock stands where the panel's does."""
    context = chromium.new_context(
        base_url=url, reduced_motion="reduce", timezone_id="UTC", locale="en-GB"
    )
    context.clock.set_fixed_time(NOW)
    yield context.new_page()
    context.close()


def sign_in(page: Page) -> None:
    """Sign in as the person whose panel it is."""
    page.goto("/account/login/")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    # What was said of it is said once.
    page.goto("/search/")


def visit(page: Page, shot: Shot) -> None:
    """Bring a page into its state."""
    turn(page, View(shot.widths[0], "light"))
    page.goto(shot.address)
    if shot.prepare:
        shot.prepare(page)
    page.evaluate("document.fonts.ready")


def turn(page: Page, view: View) -> None:
    """Look at the same page in another way; it follows without a reload."""
    page.set_viewport_size({"width": view.width, "height": WIDTHS[view.width]})
    page.emulate_media(color_scheme=view.theme)


def photograph(page: Page, *paths: Path) -> None:
    """Store a picture of the whole page, without loss; WebP halves what PNG takes."""
    width = page.viewport_size["width"] if page.viewport_size else max(WIDTHS)
    tall = page.evaluate("document.documentElement.scrollHeight")
    # A screen as tall as the page: what stays in view while scrolling stands where it belongs.
    page.set_viewport_size({"width": width, "height": min(max(tall, WIDTHS[width]), _TALLEST)})
    taken = page.screenshot(animations="disabled", caret="hide")
    with Image.open(io.BytesIO(taken)) as image:
        colours = image.convert("RGB")
        for path in paths:
            colours.save(path, lossless=True, method=4, optimize=True)
