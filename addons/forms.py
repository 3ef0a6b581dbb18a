"""What every add-on's settings form has in common."""

from collections.abc import Mapping
from typing import Any

from django import forms


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
