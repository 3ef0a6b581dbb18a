"""Reads by name, for pages and commands."""

from instances.errors import NotFound
from instances.models import Environment, NodeGroup
from instances.reason import Reason


def environment_named(name: str) -> Environment:
    """Return the environment.

    Raises:
        NotFound: There is none of that name.
    """
    found = Environment.objects.filter(name=name).first()
    if found is None:
        raise NotFound(
            Reason(
                "NoEnvironment",
                f"There is no environment “{name}”.",
                "`manage.py environment list` shows those there are.",
            )
        )
    return found


def group_named(environment: str, name: str) -> NodeGroup:
    """Return the node group of that name in the environment of that name.

    Raises:
        NotFound: There is no such environment or group.
    """
    found = NodeGroup.objects.filter(
        environment=environment_named(environment), name=name
    ).first()
    if found is None:
        raise NotFound(
            Reason(
                "NoGroup",
                f"Environment “{environment}” has no node group “{name}”.",
                f"`manage.py node list {environment}` shows those there are.",
            )
        )
    return found
