"""Model fields whose values are encrypted at rest."""

import json
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from instances.secret import Secret
from instances.vault import key_ring

if TYPE_CHECKING:
    _SecretField = models.TextField[Secret | str, Secret]
    _JSONField = models.TextField[dict[str, Any] | list[Any], Any]
else:
    _SecretField = _JSONField = models.TextField


class EncryptedTextField(_SecretField):
    """Text that is a ciphertext in the database and a `Secret` in Python.

    The ciphertext names its key and is bound to the model and field it belongs to, so that one
    column's value cannot be pasted into another. The empty string stays empty.
    """

    @property
    def _context(self) -> str:
        return f"{self.model._meta.label_lower}.{self.name}"  # noqa: SLF001 -- Django's public _meta

    def get_prep_value(self, value: Secret | str | None) -> str | None:
        if value is None:
            return None
        secret = value if isinstance(value, Secret) else Secret(value)
        return key_ring().encrypt(secret, context=self._context) if secret else ""

    def from_db_value(
        self, value: str | None, _expression: object, _connection: BaseDatabaseWrapper
    ) -> Secret | None:
        if value is None:
            return None
        return key_ring().decrypt(value, context=self._context) if value else Secret("")

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Secret) or value is None else Secret(str(value))

    def value_to_string(self, obj: models.Model) -> str:  # noqa: ARG002 -- Django's signature
        raise TypeError("an encrypted field is not serialised: back it up with `manage.py backup`")


class EncryptedJSONField(_JSONField):
    """JSON that is a ciphertext in the database and plain data in Python.

    For states that may hold a line of somebody's configuration. It cannot be queried by content.
    """

    @property
    def _context(self) -> str:
        return f"{self.model._meta.label_lower}.{self.name}"  # noqa: SLF001 -- Django's public _meta

    def get_prep_value(self, value: Any) -> str | None:
        return key_ring().encrypt(Secret(json.dumps(value)), context=self._context)

    def from_db_value(
        self, value: str | None, _expression: object, _connection: BaseDatabaseWrapper
    ) -> Any:
        return (
            json.loads(key_ring().decrypt(value, context=self._context).reveal()) if value else {}
        )

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:  # noqa: ARG002 -- Django's signature
        raise TypeError("an encrypted field is not serialised: back it up with `manage.py backup`")
