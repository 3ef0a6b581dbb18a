"""The icons that pages name exist in the locked package."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from addons.catalogue import all_addons
from panel.context import NAVIGATION
from panel.templatetags.redoubt import icon

TEMPLATES = Path(settings.BASE_DIR) / "templates"


def test_every_icon_that_a_page_names_is_drawn() -> None:
    if not settings.ICONS_DIR.exists():
        pytest.skip("npm ci has not been run")
    named = {name for _, _, name in NAVIGATION}
    for addon in all_addons():
        named |= {addon.icon, f"{addon.icon}-open"}
    for template in TEMPLATES.rglob("*.html"):
        named |= set(re.findall(r'{% icon "([\w-]+)"', template.read_text()))
    assert len(named) > 10
    assert [name for name in sorted(named) if "<path" not in icon(name)] == []


def test_an_icon_that_is_missing_is_drawn_empty() -> None:
    assert "<svg" in icon("no-such-icon")
