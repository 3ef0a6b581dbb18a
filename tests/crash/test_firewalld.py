"""A takeover on firewalld, which cannot list the tags of our rules: the known ones are passed."""

from collections.abc import Iterator

import pytest

from addons.models import Run
from lab import Lab, NodeSpec
from tests.crash.conftest import TestNode, registered
from tests.crash.killing import drive_until
from tests.crash.node_state import closed
from tests.crash.test_kill import assert_encrypted, assert_finished_though_killed, take_over

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

HOST = "firewalld-1"
LOOK = "firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones"


@pytest.fixture(scope="module")
def lab(crash_lab: Lab) -> Iterator[Lab]:
    crash_lab.up([NodeSpec(name=HOST, firewall="firewalld")])
    yield crash_lab
    crash_lab.down([HOST])


@pytest.fixture
def node(lab: Lab, transactional_db: None) -> TestNode:
    return registered(lab, HOST)


def zones(node: TestNode) -> str:
    return node.lab.exec(HOST, ["bash", "-euc", LOOK]).stdout.decode()


def test_runs_killed_after_the_firewall_step_leave_no_rule_behind(node: TestNode) -> None:
    before = zones(node)

    assert_finished_though_killed(node, "install", "applied", "firewall")
    assert_encrypted(node)
    assert zones(node).count("6380") == 2, "in force and permanent"

    assert_finished_though_killed(node, "uninstall", "applied", "firewall")
    assert zones(node) == before
    assert closed(node.host.address)


@pytest.mark.long
def test_a_put_back_killed_after_the_firewall_step_leaves_no_rule_behind(
    node: TestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object, **_named: object) -> None:
        raise TimeoutError("injected")

    before = zones(node)
    run = node.ask("install")
    monkeypatch.setattr("addons.encryption.plan.verify", fails)
    assert drive_until(run.pk, "undone", "firewall")
    monkeypatch.undo()

    take_over(run)

    assert run.state == Run.State.PUT_BACK, run.failure
    assert zones(node) == before
