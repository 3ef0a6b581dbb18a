"""A lab of servers that belong together, and a panel that knows them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.acceptance.stage import Stage
from tests.labs import fresh, name_of_lab
from tests.topology.legs import Leg, recording


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Lab]:
    with fresh(Lab(name=name_of_lab("topo"))) as lab:
        yield lab


@pytest.fixture
def leg(record_property: Callable[[str, object], None]) -> Leg:
    """Measures a leg of a group's way: ``with leg(group, what, client)``."""
    return recording(record_property)


@pytest.fixture
def stage(db: None, laboratory: Lab, tmp_path: Path) -> Iterator[Stage]:
    """A panel that knows no node yet; each test boots its own."""
    try:
        yield Stage(laboratory, {}, tmp_path)
    finally:
        laboratory.down()


@pytest.fixture
def lasting(transactional_db: None, laboratory: Lab, tmp_path: Path) -> Iterator[Stage]:
    """The same, on a database that other processes see."""
    try:
        yield Stage(laboratory, {}, tmp_path)
    finally:
        laboratory.down()
