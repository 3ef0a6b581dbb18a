"""An operator changes from one firewall to another while nobody drives a run."""

from collections.abc import Iterator

import pytest

from addons.models import Run
from lab import Lab, NodeSpec
from tests.acceptance.photograph import shell
from tests.acceptance.test_firewall_moves import NFTABLES, OURS
from tests.crash.conftest import TestNode, registered
from tests.crash.killing import drive_until
from tests.crash.node_state import closed
from tests.crash.test_kill import assert_encrypted, take_over, uninstall

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

HOST = "moving-1"
LEAVE_UFW = f"ufw disable; {NFTABLES}"
ENTER_UFW = "systemctl disable --quiet --now nftables; ufw --force enable"
THEIRS = "nft list table inet filter; cat /etc/nftables.conf"


@pytest.fixture(scope="module")
def lab(crash_lab: Lab) -> Iterator[Lab]:
    crash_lab.up([NodeSpec(name=HOST, firewall="ufw")])
    yield crash_lab
    crash_lab.down([HOST])


@pytest.fixture
def node(lab: Lab, transactional_db: None) -> Iterator[TestNode]:
    yield registered(lab, HOST)
    shell(lab, HOST, ENTER_UFW)


def test_a_takeover_moves_the_rule_and_an_uninstall_finds_it_there(node: TestNode) -> None:
    run = node.ask("install")
    assert drive_until(run.pk, "applied", "firewall")
    shell(node.lab, HOST, LEAVE_UFW)
    theirs = shell(node.lab, HOST, THEIRS)

    take_over(run)

    assert run.state == Run.State.SUCCEEDED, run.failure
    assert_encrypted(node)
    assert shell(node.lab, HOST, OURS).split() == ["1", "0"]

    assert uninstall(node).state == Run.State.SUCCEEDED
    assert shell(node.lab, HOST, THEIRS) == theirs
    assert shell(node.lab, HOST, OURS).split() == ["0", "0"]
    assert closed(node.host.address)


@pytest.mark.long
def test_a_put_back_leaves_a_rule_in_neither(
    node: TestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = node.ask("install")
    assert drive_until(run.pk, "applied", "firewall")
    shell(node.lab, HOST, LEAVE_UFW)
    theirs = shell(node.lab, HOST, THEIRS)
    monkeypatch.setattr("addons.encryption.plan.verify", _fails)

    take_over(run)

    assert run.state == Run.State.PUT_BACK, run.failure
    assert shell(node.lab, HOST, THEIRS) == theirs
    assert shell(node.lab, HOST, OURS).split() == ["0", "0"]


@pytest.mark.long
def test_an_uninstall_killed_ahead_of_the_change_leaves_no_rule_behind(node: TestNode) -> None:
    run = node.ask("install")
    assert drive_until(run.pk, "applied", "firewall")
    take_over(run)
    assert run.state == Run.State.SUCCEEDED, run.failure
    run = node.ask("uninstall")
    assert drive_until(run.pk, "before", "firewall")
    shell(node.lab, HOST, LEAVE_UFW)

    take_over(run)

    assert run.state == Run.State.SUCCEEDED, run.failure
    assert shell(node.lab, HOST, OURS).split() == ["0", "0"]


def _fails(*_args: object, **_named: object) -> None:
    raise TimeoutError("injected")
