"""axe finds nothing serious on any page, in any state, light or dark, wide or narrow."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.urls.exceptions import Resolver404
from playwright.sync_api import Browser, Page

from panel.places import BASE_DIR
from tools.screenshots import pages
from tools.screenshots.camera import VIEWS, WIDTHS, View, looking, sign_in, turn, visit
from tools.screenshots.pages import Shot
from tools.screenshots.site import Site, site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

AXE = BASE_DIR / "node_modules/axe-core/axe.min.js"
PARTS = 2
"""Each a test, with a time limit of its own."""
COLOURS = "color-contrast"
GRAVE = {"serious", "critical"}
RUN = """
async (only) => {
  const found = await axe.run(document, {resultTypes: ["violations"], preload: false, ...only});
  return found.violations.map(({id, impact, help, nodes}) =>
    ({id, impact, help, where: nodes.slice(0, 3).map((node) => node.html)}));
}
"""
NOT_PAGES = {
    "healthz": "a word for load balancers",
    "notices": "a fragment of every page",
    "addon-environments": "a list of options for a field",
    "run-report": "a download",
    "group-plaintext-csv": "a download",
    "run-confirm": "acts, by POST",
    "run-discard": "acts, by POST",
    "run-stop": "acts, by POST",
    "run-repeat": "acts, by POST",
    "run-retry": "acts, by POST",
    "run-resolve": "acts, by POST",
    "bundle-confirm": "acts, by POST",
    "bundle-discard": "acts, by POST",
    "bundle-stop": "acts, by POST",
    "bundle-repeat": "acts, by POST",
    "group-act": "acts, by POST",
    "environment-window-remove": "acts, by POST",
    "group-host-keys-confirm": "acts, by POST",
    "archived-restore": "acts, by POST",
    "node-look": "acts, by POST",
    "node-confirm-host-key": "acts, by POST",
    "node-verify": "acts, by POST",
    "group-verify": "acts, by POST",
    "group-look": "acts, by POST",
    "drift-accept": "acts, by POST",
}
OF_ALLAUTH = {
    "account_login",
    "account_logout",
    "account_change_password",
    "account_reauthenticate",
}
"""What is used of django-allauth's pages; the others lead to these."""


@pytest.fixture(scope="module")
def used() -> Iterator[Site]:
    with site("full") as running:
        yield running


@pytest.fixture(scope="module")
def unused() -> Iterator[Site]:
    with site("empty") as running:
        yield running


@pytest.mark.parametrize("part", range(PARTS))
def test_axe_finds_nothing_serious_on_a_panel_in_use(
    chromium: Browser, used: Site, part: int
) -> None:
    shots = once(pages.full(used.numbers))
    found = grave(chromium, used.url, shots[part::PARTS], rules=enough)
    assert not found, found


@pytest.mark.long
@pytest.mark.parametrize("part", range(2 * PARTS))
def test_axe_finds_nothing_serious_on_a_page_in_any_state(
    chromium: Browser, used: Site, part: int
) -> None:
    found = grave(chromium, used.url, pages.full(used.numbers)[part :: 2 * PARTS], rules=all_rules)
    assert not found, found


def test_axe_finds_nothing_serious_on_an_empty_panel(chromium: Browser, unused: Site) -> None:
    found = grave(chromium, unused.url, pages.empty(), rules=enough)
    assert not found, found


def once(shots: Iterable[Shot]) -> list[Shot]:
    """Return each page once as it comes, and once with something done there."""
    found: dict[tuple[str, bool], Shot] = {}
    for shot in shots:
        found.setdefault((named(shot.address), bool(shot.prepare)), shot)
    return list(found.values())


Rules = Callable[[View], dict[str, Any] | None]
"""What axe is to look for in a view, in its own words; None for nothing."""


def all_rules(view: View) -> dict[str, Any] | None:
    """Colours are all that differs between light and dark."""
    return {"runOnly": [COLOURS]} if view.theme == "dark" else {}


def enough(view: View) -> dict[str, Any] | None:
    """Wide, in light and dark: what only a narrow page has takes a look of its own."""
    return all_rules(view) if view.width == max(WIDTHS) else None


def grave(chromium: Browser, url: str, shots: Sequence[Shot], *, rules: Rules) -> str:
    """Look at every page in every way; return what is wrong where, a line for each."""
    found: dict[str, list[str]] = {}
    with looking(chromium, url) as page:
        page.context.add_init_script(path=AXE)
        for signed_in in (False, True):
            if signed_in:
                sign_in(page)
            for shot in (each for each in shots if each.signed_in is signed_in):
                visit(page, shot)
                for view in (each for each in VIEWS if each.width in shot.widths):
                    if (wanted := rules(view)) is None:
                        continue
                    turn(page, view)
                    for each in violations(page, wanted):
                        found.setdefault(each, []).append(f"{shot.name} {view.suffix}")
    return "\n".join(f"{what}\n    on {', '.join(where)}" for what, where in found.items())


def violations(page: Page, wanted: dict[str, Any]) -> list[str]:
    """Ask axe."""
    seen = page.evaluate(RUN, wanted)
    return [
        f"{each['id']}: {each['help']} {json.dumps(each['where'])}"
        for each in seen
        if each["impact"] in GRAVE
    ]


def test_every_named_page_is_looked_at_or_excused(used: Site) -> None:
    seen = {named(shot.address) for shot in [*pages.full(used.numbers), *pages.empty()]}
    names = set(names_of(get_resolver().url_patterns)) | OF_ALLAUTH
    assert names - seen - NOT_PAGES.keys() == set()
    assert NOT_PAGES.keys() & seen == set()


def named(address: str) -> str:
    try:
        return resolve(urlsplit(address).path).url_name or ""
    except Resolver404:
        return ""


def names_of(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[str]:
    """Return the names in panel/urls.py; allauth's own are included there."""
    for each in patterns:
        if isinstance(each, URLPattern) and each.name:
            yield each.name
