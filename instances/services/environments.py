"""Making and changing environments and node groups."""

from django.db import transaction

from instances.audit import Actor, audit
from instances.models import Environment, NodeGroup
from instances.services.saving import save_clean


def environment_create(*, actor: Actor, name: str, region: str = "") -> Environment:
    """Make an environment.

    Raises:
        Invalid: The name is not acceptable, or taken.
    """
    environment = Environment(name=name, region=region)
    with transaction.atomic():
        save_clean(environment)
        audit(actor, "environment.create", environment)
    return environment


def environment_update(
    *, actor: Actor, environment: Environment, name: str, region: str
) -> Environment:
    """Rename an environment or change its region. Its authority keeps the name it was made with.

    Raises:
        Invalid: The name is not acceptable, or taken.
    """
    before = environment.name
    environment.name, environment.region = name, region
    with transaction.atomic():
        save_clean(environment)
        audit(actor, "environment.update", environment, before=before, region=region)
    return environment


def group_create(*, actor: Actor, environment: Environment, name: str) -> NodeGroup:
    """Make a node group.

    Raises:
        Invalid: The name is not acceptable, or taken in this environment.
    """
    group = NodeGroup(environment=environment, name=name)
    with transaction.atomic():
        save_clean(group)
        audit(actor, "group.create", group)
    return group


def group_rename(*, actor: Actor, group: NodeGroup, name: str) -> NodeGroup:
    """Rename a node group.

    Raises:
        Invalid: The name is not acceptable, or taken in this environment.
    """
    before, group.name = group.name, name
    with transaction.atomic():
        save_clean(group)
        audit(actor, "group.rename", group, before=before)
    return group
