"""A worker killed while it re-issues: healed or put back, and wire and files agree."""

import ssl
from dataclasses import dataclass

import pytest

from addons.encryption import layout
from addons.encryption.steps.reissue import ReloadCertificates
from addons.models import Certificate, MachineLock, Run
from addons.runs.drive import run_drive
from tests.crash.conftest import TestNode
from tests.crash.killing import drive_until
from tests.crash.node_state import NodeState
from tests.crash.test_kill import assert_encrypted, boundaries, install, take_over, uninstall

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

LIVE = boundaries(("certificate", "reload"))
CASES = [
    ("live-1", LIVE),
    # Installed by a restart, and re-issued without one.
    ("restart-1", [("applied", "certificate")]),
    pytest.param("restart-1", LIVE[2:], marks=pytest.mark.long),
]
BACK = [
    *(("live-1", step) for step in ("reload", "certificate")),
    *(pytest.param("restart-1", x, marks=pytest.mark.long) for x in ("reload", "certificate")),
]
HIDDEN = "rename-command CONFIG REDOUBT-TEST"
RESTART = "systemctl reset-failed redis-server; systemctl restart redis-server"
LOOK = r"""
cat /etc/redis/tls/server/server.crt; echo ===
find /etc/redis/tls /var/lib/redoubt -printf '%p %y %m %u:%g %l\n' 2>/dev/null | sort; echo ===
redis-cli info server | grep run_id
for each in server client; do
  cd "/etc/redis/tls/$each"
  openssl x509 -noout -pubkey <"$each.crt" | cmp - <(openssl pkey -pubout <"$each.key") 2>&1
done
"""
BROKEN_OFF = {
    "before the links are swapped": 'mv -fT -- "$dir/.server.new" "$dir/server"\n',
    "between the two links": 'mv -fT -- "$dir/.client.new" "$dir/client"\n',
    "before the former ones are set aside": 'set_aside "$old"\n',
    "while they are set aside": 'mv -T -- "$kept/.new" "$kept/$1"\n',
}


@dataclass(frozen=True)
class Certificates:
    """What is on the wire, what is in the files, and what else lies there."""

    wire: str
    file: str
    places: str
    starts: str


def look(node: TestNode) -> Certificates:
    served = ssl.get_server_certificate((node.host.address, 6380), timeout=5).strip()
    told = node.lab.exec(node.host.name, ["bash", "-c", LOOK]).stdout.decode()
    file, places, starts = (part.strip() for part in told.split("===\n"))
    return Certificates(served, file, places, starts)


def broken_off(where: str) -> str:
    """The script that puts certificates in place, ended by force at one line."""
    line = BROKEN_OFF[where]
    assert layout.PUT.count(line) == 1
    return layout.PUT.replace(line, f"kill -9 $BASHPID\n{line}")


def serials(run: Run) -> dict[str, int]:
    """How many server certificates the run issued, by state."""
    found = Certificate.objects.filter(run=run, purpose="server").order_by("state")
    states = list(found.values_list("state", flat=True))
    return {state: states.count(state) for state in states}


def assert_renewed(node: TestNode, run: Run, old: Certificates) -> None:
    assert run.state == Run.State.SUCCEEDED, run.failure
    new = look(node)
    assert new.wire == new.file != old.wire
    assert len(new.places.splitlines()) == len(old.places.splitlines()), new.places
    assert new.starts == old.starts, "the server was not restarted, and both pairs match"
    assert_encrypted(node)


def ends_as_it_was(node: TestNode, before: NodeState) -> None:
    gone = uninstall(node)
    assert gone.state == Run.State.SUCCEEDED, gone.failure
    after = node.state()
    assert after == before, after.lines_unlike(before)


@pytest.mark.parametrize(("name", "moments"), CASES)
def test_a_re_issue_killed_anywhere_is_finished_and_issues_nothing_twice(
    nodes: dict[str, TestNode], name: str, moments: list[tuple[str, str]]
) -> None:
    node = nodes[name]
    before = node.state()
    install(node)
    for event, step in moments:
        old = look(node)
        run = node.ask("reissue")
        assert drive_until(run.pk, event, step), f"{event} {step} was not reached"
        assert node.state().serves
        take_over(run)
        assert run.attempt == 2
        assert_renewed(node, run, old)
        assert serials(run) == {"serving": 1}, (event, step)
    ends_as_it_was(node, before)


def test_a_swap_that_broke_off_on_the_node_is_finished(
    nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["live-1"]
    before = node.state()
    install(node)
    for where in BROKEN_OFF:
        old = look(node)
        run = node.ask("reissue")
        with monkeypatch.context() as patch:
            patch.setattr(layout, "PUT", broken_off(where))
            assert drive_until(run.pk, "failed", "certificate"), "the script did not break off"
        take_over(run)
        assert_renewed(node, run, old)
        arrived = where != "before the links are swapped"
        left = {"serving": 1} if arrived else {"abandoned": 1, "serving": 1}
        assert serials(run) == left, where
    ends_as_it_was(node, before)


def test_a_swap_that_broke_off_goes_back(
    nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["live-1"]
    before = node.state()
    install(node)
    old = look(node)
    for where in BROKEN_OFF:
        run = node.ask("reissue")
        with monkeypatch.context() as patch:
            patch.setattr(layout, "PUT", broken_off(where))
            run_drive(run=run.pk)
        run.refresh_from_db()
        assert run.state == Run.State.PUT_BACK, (where, run.failure)
        assert look(node) == old, where
    ends_as_it_was(node, before)


@pytest.mark.parametrize(("name", "step"), BACK)
def test_a_re_issue_that_fails_and_is_killed_on_the_way_back_serves_the_former_one(
    nodes: dict[str, TestNode], name: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes[name]
    before = node.state()
    install(node)
    old = look(node)
    run = node.ask("reissue")
    monkeypatch.setattr("addons.encryption.plan.verify", _fails)
    assert drive_until(run.pk, "undone", step), "the worker did not reach the boundary"
    monkeypatch.undo()
    take_over(run)
    assert run.state == Run.State.PUT_BACK, run.failure
    assert look(node) == old
    assert serials(run) == {"abandoned": 1}
    assert Certificate.objects.filter(state=Certificate.State.SERVING).count() == 2
    assert not MachineLock.objects.exists()
    ends_as_it_was(node, before)


def test_a_pair_that_the_server_refuses_is_taken_back(
    nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["live-1"]
    before = node.state()
    install(node)
    old = look(node)
    run = node.ask("reissue")
    broken = layout.PUT + 'echo broken >"$dir/server/server.key"\n'
    with monkeypatch.context() as patch:
        patch.setattr(layout, "PUT", broken)
        run_drive(run=run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.PUT_BACK, run.failure
    assert run.failure["step"] == ReloadCertificates.key
    assert look(node) == old
    ends_as_it_was(node, before)


def test_a_server_without_config_is_restarted_once_and_the_preview_says_so(
    nodes: dict[str, TestNode],
) -> None:
    node = nodes["live-1"]
    path = "/etc/redis/redis.conf"
    shell(node, f"cp -p {path} /root/kept.conf; echo '{HIDDEN}' >>{path}; {RESTART}")
    try:
        before = node.state()
        install(node)
        old = look(node)
        run = node.ask("reissue")
        Run.objects.filter(pk=run.pk).update(state=Run.State.PREVIEWING)
        run_drive(run=run.pk)
        shown = run.nodes.get().preview
        assert [each["code"] for each in shown["warnings"]] == ["NeedsRestart"]
        assert sum(change["interrupts"] > 0 for change in shown["changes"]) == 1
        Run.objects.filter(pk=run.pk).update(state=Run.State.QUEUED, lease_until=None)
        run_drive(run=run.pk)
        run.refresh_from_db()
        assert run.state == Run.State.SUCCEEDED, run.failure
        new = look(node)
        assert new.wire == new.file != old.wire
        assert new.starts != old.starts
        ends_as_it_was(node, before)
    finally:
        shell(node, f"cp -p /root/kept.conf {path}; rm /root/kept.conf; {RESTART}")


def shell(node: TestNode, script: str) -> None:
    done = node.lab.exec(node.host.name, ["bash", "-euc", script])
    assert done.returncode == 0, done.stderr


def _fails(*_args: object, **_named: object) -> None:
    raise TimeoutError("injected")
