"""Sorting a list by what its address says: ``?sort=name``, or ``?sort=-name`` the other way."""

from collections.abc import Mapping, Sequence
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.forms import HiddenInput


class SortFilter(django_filters.OrderingFilter):  # type: ignore[misc]  # django-filter has no types
    """The order of a list, named in its address.

    Args:
        orders: By name, the columns that decide, the last of them unique: no row stands on two
            pages.
    """

    def __init__(self, orders: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        self._orders = orders
        self.usual = next(iter(orders))
        super().__init__(fields=[(name, name) for name in orders], widget=HiddenInput, **kwargs)

    def filter(self, found: QuerySet[Any], value: Sequence[str] | None) -> QuerySet[Any]:
        """Sort; the first order of all where none is asked for."""
        chosen = value[0] if value else self.usual
        back = chosen.startswith("-")
        columns = self._orders[chosen.removeprefix("-")]
        return found.order_by(*(_turned(column) if back else column for column in columns))


def _turned(column: str) -> str:
    return column.removeprefix("-") if column.startswith("-") else f"-{column}"
