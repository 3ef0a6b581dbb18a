"""What the panel shows to a server that wants a certificate of its clients.

Authorities belong to the add-ons, which this room does not know: they say here how it is come by.
"""

from collections.abc import Callable

from instances.models import Environment
from instances.secret import Secret

Pair = tuple[str, Secret]
"""A certificate, PEM, and its private key."""

Introduction = Callable[[], Pair | None]
"""Makes a pair for one connection; None where no authority can vouch for the panel."""

_providers: list[Callable[[Environment], Introduction]] = []


def introduced_by(provider: Callable[[Environment], Introduction]) -> None:
    """Have a provider asked for the introduction to an environment's servers."""
    _providers.append(provider)


def introduction_to(environment: Environment) -> Introduction:
    """Return what introduces the panel to the servers of an environment.

    The database is asked here, and not by what is returned.
    """
    found = [provider(environment) for provider in _providers]
    return lambda: next((pair for each in found if (pair := each())), None)
