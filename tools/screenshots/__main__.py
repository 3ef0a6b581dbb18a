"""``python -m tools.screenshots [NAME ...]``: every page into docs/screenshots, or some of them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser

from panel.places import BASE_DIR
from tools.screenshots import pages
from tools.screenshots.camera import VIEWS, View, browser, looking, photograph, sign_in, turn, visit
from tools.screenshots.pages import Shot
from tools.screenshots.site import site

PLACE = BASE_DIR / "docs" / "screenshots"
_README = {
    "dashboard-1440-light": "dashboard.png",
    "run-running-1440-dark": "run-dark.png",
    "group-addons-wrong-1440-light": "group.png",
}
"""What the README shows, at names that stay."""


def main(names: Sequence[str]) -> int:
    """Take the pictures.

    Args:
        names: Of what is wanted; everything if empty.
    """
    PLACE.mkdir(parents=True, exist_ok=True)
    if not names:
        for old in (each for each in PLACE.iterdir() if each.suffix in {".png", ".webp"}):
            old.unlink()
    with site("full") as used, site("empty") as unused, browser() as chromium:
        for found, shots in ((used, pages.full(used.numbers)), (unused, pages.empty())):
            wanted = [shot for shot in shots if not names or shot.name in names]
            _take(chromium, found.url, wanted)
    taken = list(PLACE.iterdir())
    size = sum(path.stat().st_size for path in taken) / 1e6
    sys.stdout.write(f"{len(taken)} pictures, {size:.1f} MB, in {PLACE.relative_to(BASE_DIR)}\n")
    return 0


def _take(chromium: Browser, url: str, shots: Sequence[Shot]) -> None:
    with looking(chromium, url) as page:
        for signed_in in (False, True):
            if signed_in and shots:
                sign_in(page)
            for shot in (each for each in shots if each.signed_in is signed_in):
                visit(page, shot)
                for view in (each for each in VIEWS if each.width in shot.widths):
                    turn(page, view)
                    photograph(page, *_paths(shot, view))


def _paths(shot: Shot, view: View) -> list[Path]:
    name = f"{shot.name}-{view.suffix}"
    readme = _README.get(name)
    return [PLACE / f"{name}.webp", *([PLACE / readme] if readme else [])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
