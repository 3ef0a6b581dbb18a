"""Two real nodes, one that is changed live and one that is restarted, for killing workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from addons.models import Run
from addons.runs.services import run_create
from instances.audit import Actor
from instances.looks import node_look
from instances.models import Node
from instances.secret import Secret
from instances.services import (
    NodeRequest,
    credential_create,
    environment_create,
    group_create,
    node_register,
)
from lab import Lab, LabNode, NodeSpec
from tests.crash.node_state import NodeState, read_state
from tests.labs import fresh, name_of_lab

ACTOR = Actor(None, "test", "terminal")


@pytest.fixture(scope="session")
def crash_lab() -> Iterator[Lab]:
    with fresh(Lab(name=name_of_lab("crash"))) as lab:
        lab.up([NodeSpec(name="live-1"), NodeSpec(name="restart-1", image="bullseye")])
        yield lab


@pytest.fixture
def nodes(crash_lab: Lab, transactional_db: None) -> dict[str, "TestNode"]:
    environment = environment_create(actor=ACTOR, name="crash")
    found = {}
    for each in crash_lab.nodes():
        if not found:
            key = Secret(Path(each.identity).read_text())
            credential_create(actor=ACTOR, name="lab", private_key=key)
        group = group_create(actor=ACTOR, environment=environment, name=each.name)
        request = NodeRequest(
            address=each.address, name=each.name, user=each.user, host_key=each.host_key
        )
        node = node_register(actor=ACTOR, group=group, request=request)
        node_look(node=node.pk)
        found[each.name] = TestNode(crash_lab, each, node)
    return found


class TestNode:
    """A registered node, and what it looks like to somebody logged in there."""

    __test__ = False

    def __init__(self, lab: Lab, host: LabNode, node: Node) -> None:
        self.lab, self.host, self.node = lab, host, node

    def ask(self, action: str, **settings: str) -> Run:
        return run_create(
            actor=ACTOR,
            group=self.node.group,
            addon="encryption",
            action=action,
            settings=settings,
            confirmed=True,
        )

    def state(self) -> NodeState:
        return read_state(self.lab, self.host.name)


def registered(lab: Lab, name: str) -> TestNode:
    """Register a node that a test module has added to the lab, in an environment of its own."""
    host = next(each for each in lab.nodes() if each.name == name)
    key = Secret(Path(host.identity).read_text())
    credential_create(actor=ACTOR, name="lab", private_key=key)
    environment = environment_create(actor=ACTOR, name="crash")
    group = group_create(actor=ACTOR, environment=environment, name=name)
    request = NodeRequest(address=host.address, name=name, host_key=host.host_key)
    node = node_register(actor=ACTOR, group=group, request=request)
    node_look(node=node.pk)
    return TestNode(lab, host, node)
