"""Sorting a list by what its address says: ``?sort=name``, or ``?sort=-name`` the other way."""

from collections.abc import Mapping, Sequence
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.forms import HiddenInput, Select


class SortFilter(django_filters.OrderingFilter):  # type: ignore[misc]  # django-filter has no types
    """The order of a list, named in its address; the headings of its table lead there.

    Args:
        orders: By name, the columns that decide, the last of them unique: no row stands on two
            pages.
        usual: The order where none is asked for; the first where empty.
        labels: What the orders are called, where the list has no headings: they are then chosen
            among the filters.
    """

    def __init__(
        self,
        orders: Mapping[str, Sequence[str]],
        *,
        usual: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._orders = orders
        self.usual = usual or next(iter(orders))
        super().__init__(
            label="Sort by",
            fields=[(name, name) for name in orders],
            field_labels=labels or {},
            empty_label=None,
            widget=Select if labels else HiddenInput,
        )

    def filter(self, found: QuerySet[Any], value: Sequence[str] | None) -> QuerySet[Any]:
        """Sort."""
        chosen = value[0] if value else self.usual
        back = chosen.startswith("-")
        columns = self._orders[chosen.removeprefix("-")]
        return found.order_by(*(_turned(column) if back else column for column in columns))


def _turned(column: str) -> str:
    return column.removeprefix("-") if column.startswith("-") else f"-{column}"
