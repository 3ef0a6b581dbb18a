"""A lab of servers that belong together, and a panel that knows them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.acceptance.stage import Stage


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Lab]:
    name = os.environ.get("REDOUBT_LAB_NAME", "test-topo")
    lab = Lab(name=f"{name}{os.environ.get('PYTEST_XDIST_WORKER', '')}")
    lab.down()
    try:
        yield lab
    finally:
        lab.down()


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
