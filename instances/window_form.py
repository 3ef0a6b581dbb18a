"""The form of a maintenance window. It only shapes the input: the service judges it."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings

from instances.windows import DAYS


class WindowForm(forms.Form):
    """A new window."""

    weekdays = forms.TypedMultipleChoiceField(
        label="Opens on",
        coerce=int,
        choices=list(enumerate(DAYS)),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one day of the week."},
    )
    start = forms.TimeField(
        label="At",
        initial="02:00",
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        help_text="By the clocks of the time zone, summer time included.",
    )
    hours = forms.IntegerField(label="For, hours", min_value=1, max_value=24, initial=4)
    zone = forms.ChoiceField(label="Time zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = self.fields["zone"]
        zones.choices = [(name, name) for name in sorted(available_timezones())]  # type: ignore[attr-defined]
        zones.initial = settings.TIME_ZONE
