"""What every list does alike: filters and order from its address, one page at a time."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django_filters import FilterSet

PAGE = 50
MOST = 10
"""Pages of a narrowed list: whoever needs more of them is helped by a narrower filter."""


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # it takes no argument at run time
    """Counts no further than its last page: a count of all takes the longer the more there are.

    Args:
        capped: Whether it may stop there.
    """

    def __init__(self, found: QuerySet[Any], size: int, *, capped: bool) -> None:
        super().__init__(found, size)
        self._found = found
        self._most = MOST * size if capped else None

    @cached_property
    def _counted(self) -> int:
        if self._most is None:
            return self._found.count()
        # In their order: SQLite would else count along an index that has not what is asked.
        return self._found[: self._most + 1].count()

    @property
    def more(self) -> bool:
        """Whether there is more than the pages show."""
        return self._most is not None and self._counted > self._most

    @cached_property
    def count(self) -> int:
        """How many there are, or are shown."""
        return min(self._counted, self._most) if self._most else self._counted


def listed(request: HttpRequest, found: FilterSet, size: int = PAGE) -> dict[str, Any]:
    """Return what the templates of a list are given.

    What cannot be understood matches nothing, rather than everything.

    Args:
        request: Whose address says which page.
        found: The filters, with the same address.
        size: How many rows are on a page.
    """
    matching = found.qs if found.is_valid() else found.qs.none()
    said = {name: value for name, value in found.data.items() if name in found.filters}
    said.pop("sort", None)
    narrowed = any(said.values())
    page = CappedPaginator(matching, size, capped=narrowed).get_page(request.GET.get("page"))
    return {"page": page, "filter": found, "narrowed": narrowed}
