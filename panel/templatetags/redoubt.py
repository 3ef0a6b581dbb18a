"""What the templates are written with: icons, states, times, form fields."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django import forms, template
from django.conf import settings
from django.forms import BoundField
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from panel.pages.ages import age
from panel.pages.board import title_of
from panel.pages.state import Shown, worded

register = template.Library()

_PATHS = re.compile(r"<(?:path|circle|rect|line)\b[^>]*/>")
_SOON = timedelta(days=21)
"""How long before its end the day on which something ends is marked."""


@lru_cache(maxsize=256)
def _paths(name: str) -> str:
    """Return what an icon is drawn with, from the npm package; nothing where it is missing."""
    try:
        text = (settings.ICONS_DIR / f"{name}.svg").read_text()
    except OSError:
        return ""
    return "".join(path for path in _PATHS.findall(text) if 'stroke="none"' not in path)


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """Draw an icon inline. It is decoration: the words beside it say the same."""
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" fill="none" stroke="currentColor"'
        ' stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"'
        ' aria-hidden="true" focusable="false">{}</svg>',
        classes,
        mark_safe(_paths(name)),  # noqa: S308 -- a file of the icon package, not a person's text
    )


@register.simple_tag
def state(shown: Shown, word: str = "") -> SafeString:
    """Draw a state: a dot in its colour, hollow where unknown, and its word."""
    return format_html(
        '<span class="state {}"{}>{}</span>',
        shown.kind,
        format_html(' title="{}"', shown.why) if shown.why else "",
        word or shown.word,
    )


@register.simple_tag
def ago(at: datetime | str | None, never: str = "never") -> SafeString:
    """Draw a time as an age; the exact one on hover, put into the viewer's zone by times.js."""
    # A template gives an empty text for what a missing row would have had.
    if not isinstance(at, datetime):
        return format_html('<span class="text-secondary">{}</span>', never)
    exact = timezone.localtime(at)
    return format_html(
        '<time class="num text-nowrap" datetime="{}" title="{}" data-ago>{}</time>',
        at.isoformat(),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
        age(timezone.now() - at),
    )


@register.simple_tag
def until(moment: str | datetime | None) -> SafeString:
    """Draw how long something is still valid."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) and moment else moment
    if not isinstance(at, datetime):
        return SafeString('<span class="text-secondary">unknown</span>')
    left = at - timezone.now()
    words = f"{left.days} d" if left.total_seconds() > 0 else "expired"
    return format_html(
        '<time class="num text-nowrap" datetime="{}" title="{}" data-exact>{}</time>',
        at.isoformat(),
        at.strftime("%Y-%m-%d %H:%M:%S %Z"),
        words,
    )


@register.simple_tag
def ends(at: datetime | None) -> SafeString:
    """Draw the day on which something ends, and how many days that leaves."""
    if at is None:
        return SafeString("")
    left = at - timezone.now()
    soon = "bad" if left <= timedelta(0) else "wait" if left <= _SOON else ""
    local = timezone.localtime(at)
    return format_html(
        '<time class="ends num {}" datetime="{}" title="{}">{} <span>{}</span></time>',
        soon,
        at.isoformat(),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        local.strftime("%-d %b %Y"),
        f"{left.days} d left" if left > timedelta(0) else "expired",
    )


@register.simple_tag
def day(at: datetime) -> SafeString:
    """Draw the day of something to come, with its hour where that is near."""
    local = timezone.localtime(at)
    near = abs(at - timezone.now()) < timedelta(days=3)
    return format_html(
        '<time class="num text-nowrap" datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        local.strftime("%-d %b %H:%M" if near else "%-d %b %Y"),
    )


@register.inclusion_tag("components/sort_header.html", takes_context=True)
def sort_header(context: Mapping[str, Any], title: str, name: str) -> dict[str, str]:
    """Draw a column's heading: a link that sorts by it, and the other way where it does already.

    Where a list has no ``filter``, it is only a heading.

    Args:
        context: Of the page; its ``filter`` has a `SortFilter` with this name among its orders.
        title: The heading.
        name: The order.
    """
    found = context.get("filter")
    if not found:
        return {"title": title, "address": "", "way": ""}
    now = found.data.get("sort") or found.filters["sort"].usual
    turned = f"-{name}" if now == name else name
    query = context["request"].GET.copy()
    query.pop("page", None)
    query["sort"] = turned
    ways = {name: "ascending", f"-{name}": "descending"}
    return {"title": title, "address": f"?{query.urlencode()}", "way": ways.get(now, "")}


@register.simple_tag
def clock(at: datetime) -> SafeString:
    """Draw a time of day to the hundredth."""
    local = timezone.localtime(at)
    return format_html(
        '<time class="num text-secondary" datetime="{}" title="{}" data-clock>{}</time>',
        at.isoformat(),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        f"{local:%H:%M:%S}.{local.microsecond // 10000:02d}",
    )


@register.simple_tag
def took(started: datetime | None, ended: datetime | None, otherwise: str = "") -> SafeString:
    """Draw how long something took, or has taken so far."""
    if started is None:
        return format_html("{}", otherwise)
    if ended is None:
        return format_html(
            '<span class="num" data-since="{}">{} s</span>',
            started.isoformat(),
            max(0, int((timezone.now() - started).total_seconds())),
        )
    return format_html('<span class="num">{} s</span>', f"{(ended - started).total_seconds():.2f}")


@register.filter
def fingerprint(value: str) -> str:
    """Shorten a fingerprint of hex pairs to its ends: ``9C:41:…:7E``."""
    pairs = value.split(":")
    return value if len(pairs) < 6 else ":".join([*pairs[:2], "…", pairs[-1]])


_PLAIN_PORT = {
    "plaintext-open": "open",
    "NOAUTH": "open, with password",
    "DENIED": "closed to others",
    "closed": "closed",
    "refused": "closed to others",
    "filtered": "closed to others",
    "unreachable": "closed to others",
}


register.filter("worded", worded)
register.filter("step_title", title_of)


@register.filter
def plain_port(seen: object) -> str:
    """Say what the plain port answered when it was last looked at."""
    return _PLAIN_PORT.get(str(seen), "unknown")


@register.filter
def initials(name: str) -> str:
    """Return two letters for a person."""
    words = re.split(r"[\s._-]+", name.strip()) or [""]
    return ("".join(word[:1] for word in words[:2]) if len(words) > 1 else name[:2]).upper()


@register.filter
def entry(mapping: dict[Any, Any], key: Any) -> Any:
    """Return a mapping's entry."""
    return mapping.get(key)


_CLASSES: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.RadioSelect, "form-check-input"),
    (forms.CheckboxSelectMultiple, "form-check-input"),
    (forms.CheckboxInput, "form-check-input"),
    (forms.Select, "form-select"),
    (forms.Widget, "form-control"),
)


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, classes: str = "", *, notes: bool = True) -> dict[str, object]:
    """Draw a form field: label, widget, explanation, errors, tied together for screen readers.

    Args:
        bound: The field of a form.
        classes: For the widget, beside its own.
        notes: Whether its explanation is shown.
    """
    help_text = bound.help_text if notes else ""
    widget = bound.field.widget
    css = next(name for kind, name in _CLASSES if isinstance(widget, kind))
    attrs: dict[str, Any] = {"class": f"{css} {classes}{' is-invalid' if bound.errors else ''}"}
    described = [f"{bound.id_for_label}-{part}" for part in ("help", "error")]
    texts = (help_text, bound.errors)
    ids = [name for name, text in zip(described, texts, strict=True) if text]
    if ids and not bound.use_fieldset:
        attrs["aria-describedby"] = " ".join(ids)
    return {
        "field": bound,
        "help_text": help_text,
        "widget": bound.as_widget(attrs=attrs),
        "css": attrs["class"],
        "choices": isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple),
        "checkbox": type(widget) is forms.CheckboxInput,
    }
