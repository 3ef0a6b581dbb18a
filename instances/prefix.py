"""``field__prefix``: text that begins so, found by the field's index on every database.

Django's ``startswith`` is a LIKE, for which SQLite reads the whole index. A range does on SQLite,
whose texts are in the order of their code points; on PostgreSQL, whose texts are in the order of a
language, LIKE has the index that Django or ``varchar_pattern_ops`` made for it.
"""

from typing import Any

from django.db.models import CharField, TextField
from django.db.models.lookups import StartsWith

_LAST = "\U0010ffff"


@CharField.register_lookup
@TextField.register_lookup
class Prefix(StartsWith):
    """Begins with a text, in its very letters."""

    lookup_name = "prefix"

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        """As ``startswith`` has it."""
        return str(connection.operators["startswith"] % rhs)

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Compare with both ends of the range."""
        column, params = self.process_lhs(compiler, connection)
        both = [*params, str(self.rhs), *params, f"{self.rhs}{_LAST}"]
        return f"({column} >= %s AND {column} < %s)", both
