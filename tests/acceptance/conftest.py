"""One lab for all acceptance tests: booted once, each node left uninstalled by each test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from addons.models import Installation, MachineLock
from lab import Lab, LabNode, NodeSpec
from tests.acceptance.panel import PASSWORD, Panel
from tests.acceptance.photograph import Photograph, photograph

SPECS = {
    spec.name: spec
    for spec in (
        NodeSpec(name="cache"),
        NodeSpec(name="legacy", image="bullseye"),
        NodeSpec(name="six-two", server="redis-6.2"),
        NodeSpec(name="trixie", image="trixie"),
        NodeSpec(name="valkey", image="trixie", server="valkey"),
        NodeSpec(name="stock", stock_config=True),
        NodeSpec(name="stock-legacy", image="bullseye", stock_config=True),
        NodeSpec(name="etcconf", config_path="/etc/redis.conf", user="deploy"),
        NodeSpec(name="withpass", password=PASSWORD),
        NodeSpec(name="notls", server="redis-without-tls"),
        NodeSpec(name="noforward", forwarding=False),
    )
}


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    laboratory = Lab(name=f"test-acc{os.environ.get('PYTEST_XDIST_WORKER', '')}")
    laboratory.down()
    try:
        laboratory.up(list(SPECS.values()))
        yield laboratory
    finally:
        laboratory.down()


@pytest.fixture
def host(lab: Lab) -> Callable[[str], LabNode]:
    """A node of the lab by its name."""
    return lambda name: next(node for node in lab.nodes() if node.name == name)


@pytest.fixture
def panel(db: None, lab: Lab) -> Iterator[Panel]:
    """A panel that knows no node yet. Nodes that a failed test left changed are made anew."""
    created = Panel.create()
    yield created
    left = Installation.objects.filter(wanted=True) | Installation.objects.filter(
        nodes__isnull=False
    )
    locked = MachineLock.objects.values_list("machine", flat=True)
    for name, node in created.nodes.items():
        if node.machine_id in locked or left.filter(group=node.group).exists():
            lab.down([name])
            lab.up([SPECS[name]])


@pytest.fixture
def take(lab: Lab) -> Callable[[str], Photograph]:
    """Take a photograph of a node."""

    def photographed(name: str) -> Photograph:
        return photograph(lab, name, password=SPECS[name].password or "")

    return photographed


@pytest.fixture
def root(panel: Panel, tmp_path: Path) -> Callable[[], Path]:
    """The authority's certificate, in a file."""
    return lambda: panel.root_certificate(tmp_path)
