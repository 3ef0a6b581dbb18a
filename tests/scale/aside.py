"""One process with two fleets: which of them the panel sees is chosen for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

_chosen = ["default"]


class Router:
    """Sends everything to the database that was chosen."""

    def db_for_read(self, model: object, **_hints: object) -> str:
        return _chosen[0]

    def db_for_write(self, model: object, **_hints: object) -> str:
        return _chosen[0]

    def allow_relation(self, *_args: object, **_hints: object) -> bool:
        return True


@contextmanager
def fleet(name: str) -> Iterator[None]:
    before = _chosen[0]
    _chosen[0] = name
    try:
        yield
    finally:
        _chosen[0] = before
