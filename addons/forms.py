"""Where an add-on goes, and what every add-on's settings form has in common."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django import forms
from django.db.models import QuerySet

from instances.models import Environment, NodeGroup


class EnvironmentChoice(forms.Form):
    """The environment that an add-on goes to, by its name."""

    environment = forms.ModelChoiceField(
        Environment.objects.all(),
        to_field_name="name",
        widget=forms.TextInput,
        error_messages={"invalid_choice": "There is no environment of that name."},
    )


class GroupsChoice(forms.Form):
    """The node groups that an add-on goes on, by their names."""

    groups = forms.ModelMultipleChoiceField(
        NodeGroup.objects.none(),
        to_field_name="name",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one node group.",
            "invalid_choice": "There is no node group “%(value)s” here any more.",
        },
    )

    def __init__(self, *args: Any, among: QuerySet[NodeGroup], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("forms.ModelMultipleChoiceField[NodeGroup]", self.fields["groups"]).queryset = among


class SettingsForm(forms.Form):
    """An add-on's settings; ``more`` names those that most people leave as they are."""

    more: Sequence[str] = ()

    @property
    def main_fields(self) -> list[forms.BoundField]:
        """Return what everybody decides."""
        return [field for field in self if field.name not in self.more]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        """Return the rest."""
        return [field for field in self if field.name in self.more]

    @property
    def more_matter(self) -> bool:
        """Whether one of the rest is not as it is by itself, or is wrong."""
        return any(
            field.errors or str(field.value() or "") != str(field.field.initial or "")
            for field in self.more_fields
        )


def settings_from(form: forms.Form) -> dict[str, str]:
    """Return a valid form's values as the texts that `run_create` takes."""
    return {key: _text(value) for key, value in form.cleaned_data.items()}


def initial_from(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return a stored spec as a form's initial values."""
    return {key: _text(value) for key, value in spec.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
