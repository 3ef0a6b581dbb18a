"""Reads pages as a browser would."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Element:
    tag: str
    attrs: dict[str, str | None]


@dataclass
class Page(HTMLParser):
    """All elements of a page, the text of its scripts, and its ids."""

    elements: list[Element] = field(default_factory=list)
    script_text: str = ""
    _within: str = ""

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        # A block of data is not run, so no policy forbids it.
        self._within = tag if dict(attrs).get("type") != "application/json" else ""

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.script_text += data.strip()

    @property
    def ids(self) -> list[str]:
        return [each.attrs["id"] or "" for each in self.elements if "id" in each.attrs]


def read(html: bytes) -> Page:
    page = Page()
    page.feed(html.decode())
    return page
