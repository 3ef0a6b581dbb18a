"""What every list does alike: filters and order from its address, one page at a time."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest
from django_filters import FilterSet

PAGE = 50


def listed(request: HttpRequest, found: FilterSet, size: int = PAGE) -> dict[str, Any]:
    """Return what the templates of a list are given.

    What cannot be understood matches nothing, rather than everything.

    Args:
        request: Whose address says which page.
        found: The filters, with the same address.
        size: How many rows are on a page.
    """
    matching = found.qs if found.is_valid() else found.qs.none()
    page: Page[Any] = Paginator(matching, size).get_page(request.GET.get("page"))
    said = {name: value for name, value in found.data.items() if name in found.filters}
    said.pop("sort", None)
    return {"page": page, "filter": found, "narrowed": any(said.values())}
