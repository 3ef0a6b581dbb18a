"""One lab for all acceptance tests: each node boots once, and is left as it was by each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stage import SPECS, Stage
from tests.labs import LabOnDemand, fresh, name_of_lab


@pytest.fixture(scope="session")
def laboratory() -> Iterator[LabOnDemand]:
    lab = LabOnDemand(name_of_lab("acc"), SPECS)
    with fresh(lab):
        yield lab


@pytest.fixture
def stage(db: None, laboratory: LabOnDemand, tmp_path: Path) -> Iterator[Stage]:
    """A panel that knows no node yet, and all the hosts."""
    made = Stage(laboratory, laboratory.hosts, tmp_path)
    try:
        yield made
    finally:
        made.clear()
