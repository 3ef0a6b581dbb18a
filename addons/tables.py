"""How lists of runs are narrowed."""

import django_filters
from django.db.models import QuerySet

from addons.models import Run
from addons.selectors import RUNS_UNDER_WAY
from instances.models import Environment


class RunFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Runs by state and environment; ``under_way`` is where the count in the top bar leads."""

    state = django_filters.ChoiceFilter(choices=Run.State.choices, empty_label="Any state")
    environment = django_filters.ModelChoiceFilter(
        field_name="installation__group__environment",
        queryset=Environment.objects.all(),
        to_field_name="name",
        empty_label="Any environment",
    )
    under_way = django_filters.BooleanFilter(label="Under way only", method="only_under_way")

    def only_under_way(self, runs: QuerySet[Run], _name: str, value: object) -> QuerySet[Run]:
        """Keep the runs that are queued or running."""
        return runs.filter(state__in=RUNS_UNDER_WAY) if value else runs
