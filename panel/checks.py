"""System checks: secrets that are missing, open to others, or kept together.

Whether the key file is the one that the database needs is asked by `panel.setup.require_ready`,
where there is a database to ask.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from instances.keyring import KeyRing, KeyRingError

TAG = "redoubt"
_SETUP = "Run `manage.py setup`, which makes what is missing and keeps what is there."


@register(TAG)
def secret_key_exists(**_kwargs: Any) -> Sequence[CheckMessage]:
    """Without Django's SECRET_KEY nobody can sign in."""
    if _secret_key():
        return []
    return [Error("There is no secret key for signing sessions.", hint=_SETUP, id="redoubt.E001")]


@register(TAG)
def key_file_is_usable(**_kwargs: Any) -> Sequence[CheckMessage]:
    """Without the key file no stored secret can be read."""
    try:
        KeyRing.load(settings.KEY_FILE)
    except KeyRingError as error:
        hint = _SETUP if error.reason == "Missing" else None
        return [Error(error.message, hint=hint, id="redoubt.E002")]
    return []


@register(TAG)
def secrets_are_apart(**_kwargs: Any) -> Sequence[CheckMessage]:
    """One file that leaks must not give both sessions and stored secrets away."""
    key_file: Path = settings.KEY_FILE
    together = key_file.resolve() == (settings.STATE_DIR / "secret_key").resolve()
    if not together and _secret_key() and key_file.is_file():
        together = _secret_key() in key_file.read_text(errors="replace")
    if not together:
        return []
    message = "The key file and Django's secret key are one and the same."
    hint = "Let REDOUBT_KEY_FILE name a file that holds only keys, and restore both from a backup."
    return [Error(message, hint=hint, id="redoubt.E003")]


def _secret_key() -> str:
    try:
        return str(settings.SECRET_KEY)
    except ImproperlyConfigured:
        return ""
