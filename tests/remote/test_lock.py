"""The run's lock: held by the shell itself, on this machine and over SSH."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instances.nodeconf.command import Command
from instances.remote.errors import ConnectionLost, LockHeld
from instances.remote.host import Host
from instances.remote.lock import Holder, parse_holder
from tests.remote.conftest import open_host

pytestmark = pytest.mark.processes

Open = Callable[[], Host]


@pytest.fixture(params=["local", "ssh"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Host] = []

    def open_another() -> Host:
        opened.append(open_host(request.param, request, str(tmp_path / "lock")))
        return opened[-1]

    yield open_another
    for host in opened:
        host.close()


def eventually(attempt: Callable[[], None]) -> None:
    for _ in range(60):
        try:
            return attempt()
        except LockHeld:
            time.sleep(0.05)
    return attempt()


def test_a_machine_has_one_holder(another: Open) -> None:
    first, second = another(), another()
    first.take_lock(7, 1)
    with pytest.raises(LockHeld) as raised:
        second.take_lock(8, 1)
    assert (raised.value.run, raised.value.attempt) == (7, 1)
    assert raised.value.pid


def test_taking_the_lock_again_renews_the_name(another: Open, tmp_path: Path) -> None:
    host = another()
    host.take_lock(7, 1)
    host.take_lock(7, 2)
    assert (tmp_path / "lock").read_text().startswith("7 2 ")


def test_a_released_machine_can_be_taken(another: Open, tmp_path: Path) -> None:
    first, second = another(), another()
    first.take_lock(7, 1)
    first.release_lock()
    assert not (tmp_path / "lock").exists()
    second.take_lock(8, 1)
    first.release_lock()
    assert (tmp_path / "lock").read_text().startswith("8 1 ")


def test_a_closed_connection_frees_the_machine(another: Open) -> None:
    first, second = another(), another()
    first.take_lock(7, 1)
    first.close()
    eventually(lambda: second.take_lock(8, 1))


def test_commands_do_not_inherit_the_lock(another: Open) -> None:
    first, second = another(), another()
    first.take_lock(7, 1)
    first.run(Command(("bash", "-c", "sleep 3 >/dev/null 2>&1 & test ! -e /proc/self/fd/9")))
    first.run(Command(("test", "!", "-e", "/proc/self/fd/9"), stdin=b"x"))
    first.release_lock()
    second.take_lock(8, 1)


def test_a_takeover_ends_the_old_shell_and_its_children(another: Open, tmp_path: Path) -> None:
    first, second = another(), another()
    first.take_lock(7, 1)
    first.run(Command(("bash", "-c", "trap '' TERM; sleep 60 >/dev/null 2>&1 & echo $!")))
    with pytest.raises(LockHeld) as raised:
        second.take_lock(7, 2)
    assert raised.value.run is not None
    assert raised.value.attempt is not None
    assert raised.value.pid is not None
    second.end_holder(Holder(raised.value.run, raised.value.attempt, raised.value.pid))
    second.take_lock(7, 2)
    with pytest.raises(ConnectionLost):
        first.run(Command(("true",)))


def test_a_process_that_does_not_hold_the_lock_is_spared(another: Open) -> None:
    first, second = another(), another()
    first.take_lock(7, 1)
    bystander = second.run(Command(("bash", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"))).text
    with pytest.raises(LockHeld):
        second.end_holder(Holder(7, 1, int(bystander)))
    assert first.run(Command(("true",))).code == 0
    second.run(Command(("kill", bystander.strip())))


def test_a_holder_that_is_gone_needs_no_ending(another: Open) -> None:
    another().end_holder(Holder(7, 1, 999_999))


@pytest.mark.parametrize("text", ["", "7 1", "7 1 x", "7 1 2 3"])
def test_a_name_that_is_being_written_is_no_holder(text: str) -> None:
    assert parse_holder(text) is None
