"""Saving what a person asked for, with each error at its field."""

from collections.abc import Iterable

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models

from instances.errors import Invalid
from instances.models import NAME_TAKEN


def save_clean(instance: models.Model, only: Iterable[str] | None = None) -> None:
    """Validate and save.

    Args:
        only: The fields to write, where the row is there already and others write to it too.

    Raises:
        Invalid: With the first field that is wrong.
    """
    try:
        instance.full_clean()
        instance.save(update_fields=None if only is None else list(only))
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise Invalid(_field_of(name, error), " ".join(messages)) from error
    except IntegrityError as error:
        raise Invalid("", "Something with these values exists already.") from error


def _field_of(name: str, error: ValidationError) -> str:
    """Return where an error belongs: a name that is taken among its like is the name's."""
    if name != NON_FIELD_ERRORS:
        return name
    return "name" if error.error_dict[name][0].code == NAME_TAKEN else ""
