"""One lab for all acceptance tests: booted once, each node left as it was by each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, LabNode
from tests.acceptance.stage import SPECS, Stage


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Lab]:
    lab = Lab(name=f"test-acc{os.environ.get('PYTEST_XDIST_WORKER', '')}")
    lab.down()
    try:
        lab.up(list(SPECS.values()))
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="session")
def hosts(laboratory: Lab) -> dict[str, LabNode]:
    return {node.name: node for node in laboratory.nodes()}


@pytest.fixture
def stage(db: None, laboratory: Lab, hosts: dict[str, LabNode], tmp_path: Path) -> Iterator[Stage]:
    """A panel that knows no node yet, and all the hosts."""
    made = Stage(laboratory, hosts, tmp_path)
    try:
        yield made
    finally:
        made.clear()
