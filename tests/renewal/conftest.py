"""A site whose machines are in memory, and a clock that a test moves on."""

from datetime import UTC, datetime

import pytest

from addons.authorities import authority_ensure
from addons.pki.keys import KeyType
from instances.models import NodeGroup
from tests.pages.world import World
from tests.renewal.memory import ANNA, Site

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(START, monkeypatch)


@pytest.fixture
def world(db: None, site: Site) -> World:
    return World(ANNA)


def place(world: World, environment: str, name: str, nodes: int = 1) -> NodeGroup:
    """Make a group in an environment that has an authority."""
    group = world.group(environment, name, nodes)
    authority_ensure(environment=group.environment, key_type=KeyType.EC_P256, now=START)
    return group


@pytest.fixture
def cache(world: World) -> NodeGroup:
    return place(world, "shop", "cache", nodes=3)
