"""Restarts: of servers that are slow, silent or down, and the guard's own moments."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from addons.encryption import guard, restarting
from addons.encryption.guard import ALREADY_BACK, arm_command, disarm_command
from addons.encryption.party import Party
from addons.encryption.restarting import LOADED_BYTES_PER_SECOND, WAIT_SECONDS
from addons.encryption.steps.restart import Restart
from addons.engine.step import Goal, State, StepFailed
from addons.models import Run
from addons.runs.drive import run_drive
from addons.session import NodeSession
from instances.nodeconf.command import Command, FileState, Result
from instances.nodeconf.config_check import dry_run_command, parse_dry_run
from instances.reason import Reason
from instances.remote.errors import RemoteError, ServerRefused, Unreachable
from instances.remote.files import sha256
from instances.runtime import RuntimeFacts
from lab import Lab
from tests.crash.conftest import TestNode

WANTED = {"tls-cert-file": "/c", "tls-port": "6380"}
FORMER = {"tls-cert-file": "", "tls-port": "0"}
BEFORE = {"running": FORMER, "pid": 1, "reload": False, "memory": 0}
LOADING = ServerRefused("n", "it loads", reason="Loading")
DOWN = Unreachable("n", "connection refused", reason="ConnectionRefused")

Answer = tuple[str, Any] | RemoteError
"""A run id and what PING is answered with; or why there is no connection."""


@dataclass
class FakePort:
    """A port that answers anything so; a TLS port ends what is not TLS."""

    answer: bytes

    def settimeout(self, _timeout: float) -> None:
        pass

    def sendall(self, _payload: bytes) -> None:
        pass

    def recv(self, _size: int) -> bytes:
        return self.answer

    def close(self) -> None:
        pass


@dataclass
class FakeHost:
    """A node's shell: it says what the check and systemd are to say, and keeps what was run."""

    check: bytes = b"Ready to accept connections"
    unit: bytes = b"ActiveState=active\nJob=\n"
    listening: bool = False
    ran: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, command: Command) -> Result:
        return self.run_all([command])[-1]

    def run_all(self, commands: Sequence[Command]) -> list[Result]:
        self.ran += [command.argv for command in commands]
        return [Result(0, self._says(command.argv), b"") for command in commands]

    def _says(self, argv: tuple[str, ...]) -> bytes:
        if "dry-run" in argv:
            return self.check
        return self.unit if "show" in argv else b""

    def connect(self, _address: str, port: int, _timeout: float) -> "FakePort":
        if port == 6380 and not self.listening:
            raise DOWN
        return FakePort(b"" if port == 6380 else b"+PONG\r\n")

    def read_files(self, paths: Sequence[str]) -> list[FileState]:
        return [FileState(path, b"port 0\n") for path in paths]

    @property
    def restarts(self) -> int:
        return sum(argv[-2:] == ("restart", "redis.service") for argv in self.ran)


@dataclass
class FakeNode:
    """A node whose server answers and runs as listed, in the end as the last item says."""

    answers: list[Answer] = field(default_factory=lambda: [("old", "PONG"), ("new", "PONG")])
    running: list[Mapping[str, str] | RemoteError] = field(default_factory=lambda: [FORMER])
    refused: Reason | None = None
    host: FakeHost = field(default_factory=FakeHost)
    runtime: RuntimeFacts = field(default_factory=RuntimeFacts)
    name: str = "n"
    run: int = 7
    brief: Any = field(default_factory=lambda: SimpleNamespace(node=1))
    workspace: str = "/w"
    facts: Any = field(default_factory=lambda: SimpleNamespace(listening=()))
    server: Any = field(
        default_factory=lambda: SimpleNamespace(
            pid=1,
            unit="redis.service",
            exe="redis-server",
            unit_user="redis",
            unit_group="redis",
            config=SimpleNamespace(path="/etc/redis.conf"),
            bind=("127.0.0.1",),
        )
    )

    def redis(self) -> "FakeNode":
        return self

    def pipeline(self, _commands: object) -> list[Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, RemoteError):
            raise answer
        return [f"run_id:{answer[0]}\n", answer[1]]

    def execute(self, *_words: str) -> Any:
        return self.pipeline([])[0]

    def forget_server(self) -> None:
        pass

    def read_runtime(self) -> RuntimeFacts:
        running = self.running.pop(0) if len(self.running) > 1 else self.running[0]
        if isinstance(running, RemoteError):
            raise running
        return RuntimeFacts(config={} if self.refused else running, config_refused=self.refused)

    @property
    def session(self) -> NodeSession:
        return cast("NodeSession", self)


def step(wanted: Mapping[str, str] = WANTED) -> Restart:
    return Restart(wanted, tls_port=6380, plain_port=6379, party=Party())


def settle_back(node: FakeNode, before: State = BEFORE) -> str | None:
    return step().settle(node.session, Goal.BACK, before)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarting, "WAIT_SECONDS", 0.2)


class TestWaiting:
    def test_the_former_process_and_one_that_loads_are_not_taken_for_the_new_one(self) -> None:
        answers: list[Answer] = [("old", "PONG"), ("old", "PONG"), DOWN]
        answers += [("new", LOADING), ("new", "PONG")]
        node = FakeNode(answers, running=[WANTED])

        said = step().apply(node.session, BEFORE)

        assert said.startswith("restarted, clients were interrupted")
        assert node.answers == [("new", "PONG")], "it did not wait for the new one"

    def test_a_server_that_wants_a_password_has_answered(self) -> None:
        refusal = ServerRefused("n", "NOAUTH", reason="PasswordNeeded")
        node = FakeNode([("old", "PONG"), ("new", refusal)], running=[WANTED])
        assert step().apply(node.session, BEFORE)

    @pytest.mark.parametrize("stays", [("new", LOADING), ("old", "PONG"), DOWN, LOADING])
    def test_a_server_that_does_not_come_is_waited_for_until_the_deadline(
        self, stays: Answer, impatient: None
    ) -> None:
        with pytest.raises(StepFailed) as failed:
            step().apply(FakeNode([("old", "PONG"), stays]).session, BEFORE)
        assert failed.value.reason.code == "NotBack"

    def test_a_unit_that_systemd_has_given_up_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(restarting, "_UNIT_LOOK_SECONDS", 0.1)
        host = FakeHost(unit=b"ActiveState=failed\nJob=\n")
        began = time.monotonic()
        with pytest.raises(StepFailed):
            step().apply(FakeNode([("old", "PONG"), DOWN], host=host).session, BEFORE)
        assert time.monotonic() - began < 5

    def test_the_guard_outlasts_the_wait_and_both_grow_with_the_data(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deadlines: list[float] = []
        monkeypatch.setattr(restarting, "wait_for_server", lambda *a: deadlines.append(a[-1]))
        host = FakeHost()
        info = {"used_memory": str(1000 * LOADED_BYTES_PER_SECOND)}
        node = FakeNode(running=[WANTED], host=host, runtime=RuntimeFacts(info=info))
        began = time.monotonic()

        step().apply(node.session, BEFORE)

        armed = next(argv for argv in host.ran if "arm" in argv)
        assert deadlines[0] - began == pytest.approx(WAIT_SECONDS + 1000, abs=5)
        assert int(armed[-2]) == guard.SECONDS + 1000
        assert guard.SECONDS > WAIT_SECONDS

    def test_of_a_server_that_is_down_the_recorded_size_counts(self) -> None:
        before = {"memory": 7 * LOADED_BYTES_PER_SECOND}
        assert restarting.loading_seconds(FakeNode().session, before) == 7
        assert restarting.loading_seconds(FakeNode().session, {}) == 0


class TestServerThatIsDown:
    def test_it_can_be_inspected_and_needs_its_restart(self) -> None:
        state = step().inspect(FakeNode(running=[DOWN]).session)
        assert (state["running"], state["pid"], state["down"]) == ({}, None, True)
        assert step().satisfied(state) is None
        assert step().describe(state)

    def test_it_is_restarted_on_the_way_back_from_what_was_recorded(self) -> None:
        node = FakeNode([DOWN, ("new", "PONG")], running=[DOWN, FORMER])
        assert "restarted with the former configuration" in (settle_back(node) or "")
        assert node.host.restarts == 1

    def test_it_is_restarted_on_the_way_back_though_it_was_recorded_as_down(self) -> None:
        node = FakeNode(running=[WANTED])
        before: State = {"running": {}, "pid": None, "reload": False, "memory": 0, "down": True}
        assert settle_back(node, before)
        assert node.host.restarts == 1

    def test_a_failing_check_does_not_keep_it_down_and_is_told(self) -> None:
        host = FakeHost(check=b"1:M 22 Nov 2026 05:00:00.000 # Fatal error, no reason")
        node = FakeNode([DOWN, ("new", "PONG")], running=[DOWN, FORMER], host=host)
        assert "although the check before it said: n: the server would not" in (
            settle_back(node) or ""
        )
        assert host.restarts == 1

    def test_a_server_that_is_up_is_not_risked_against_a_failing_check(self) -> None:
        host = FakeHost(check=b"1:M 22 Nov 2026 05:00:00.000 # Fatal error, no reason")
        with pytest.raises(StepFailed, match="would not start"):
            settle_back(FakeNode(running=[WANTED], host=host))
        assert host.restarts == 0


class TestComparing:
    def test_names_that_a_takeover_no_longer_wants_are_compared_too(self) -> None:
        bound = {**FORMER, "bind": "127.0.0.1"}
        node = FakeNode(running=[bound])
        assert settle_back(node, {**BEFORE, "running": bound}) is None
        assert node.host.restarts == 0

        node = FakeNode(running=[{**FORMER, "bind": "127.0.0.1 10.0.0.1"}, bound])
        assert settle_back(node, {**BEFORE, "running": bound})
        assert node.host.restarts == 1

    @pytest.mark.parametrize("former", [{"listening": "False"}, FORMER])
    def test_where_config_is_refused_the_port_tells(self, former: dict[str, str]) -> None:
        refused = Reason("CommandRenamed", "hidden")
        before = {**BEFORE, "running": former}
        node = FakeNode(refused=refused)
        assert settle_back(node, before) is None
        node = FakeNode(refused=refused, host=FakeHost(listening=True))
        with pytest.raises(StepFailed):
            settle_back(node, before)
        assert node.host.restarts == 1

    def test_a_server_that_the_guard_restarted_may_still_load(self) -> None:
        node = FakeNode([("new", LOADING), ("new", "PONG")])
        assert settle_back(node) is None
        assert node.answers == [("new", "PONG")]


SLOW = """[Service]
Type=oneshot
ExecStart=/bin/sleep 3
"""
RUN, NODE = 4242, 7
FILES = "/var/lib/redoubt-test"


@pytest.fixture
def slow_unit(crash_lab: Lab) -> Iterator["Guarded"]:
    """A node with a unit whose restart takes three seconds, and its file."""
    guarded = Guarded(crash_lab)
    script = (
        f"mkdir -p {FILES}/w; cd {FILES}; echo old >backup; echo new >conf; cat >{guarded.unit}"
    )
    guarded.shell(f"{script} <<'U'\n{SLOW}U\nsystemctl daemon-reload")
    yield guarded
    guarded.run(disarm_command(RUN, NODE, workspace=f"{FILES}/w"))
    guarded.shell(f"rm -rf {FILES} {guarded.unit}; systemctl daemon-reload")


@dataclass
class Guarded:
    lab: Lab
    name: str = "restart-1"
    unit: str = "/run/systemd/system/slow-to-start.service"

    def run(self, command: Command) -> subprocess.CompletedProcess[bytes]:
        return self.lab.exec(self.name, list(command.argv))

    def shell(self, script: str) -> str:
        return self.lab.exec(self.name, ["bash", "-c", script]).stdout.decode()

    def arm(self) -> int:
        command = arm_command(
            RUN,
            NODE,
            workspace=f"{FILES}/w",
            server="slow-to-start.service",
            config=f"{FILES}/conf",
            backup=f"{FILES}/backup",
            after=sha256(b"new\n"),
        )
        return self.run(command).returncode

    def disarm(self) -> str:
        return self.run(disarm_command(RUN, NODE, workspace=f"{FILES}/w")).stdout.decode()

    @property
    def conf(self) -> str:
        return self.shell(f"cat {FILES}/conf")

    def at_work(self) -> None:
        deadline = time.monotonic() + 20
        while not self.shell(f"ls {FILES}/w/firing 2>/dev/null") and time.monotonic() < deadline:
            time.sleep(0.05)


@pytest.mark.lab
@pytest.mark.timeout(120)
class TestGuard:
    def test_a_disarm_waits_for_a_guard_at_work_and_says_that_it_fired(
        self, slow_unit: Guarded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard, "SECONDS", 1)
        assert slow_unit.arm() == 0
        slow_unit.at_work()
        assert slow_unit.disarm() == "fired\n"
        service = "systemctl show -p ActiveState --value redoubt-guard-4242-7.service"
        assert slow_unit.shell(service) == "inactive\n"
        assert slow_unit.conf == "old\n"
        assert slow_unit.shell("ls /etc/systemd/system | grep redoubt-guard") == ""

    def test_a_guard_that_died_in_the_middle_is_read_as_fired(
        self, slow_unit: Guarded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard, "SECONDS", 1)
        slow_unit.arm()
        slow_unit.at_work()
        slow_unit.shell("systemctl kill -s KILL redoubt-guard-4242-7.service")
        assert slow_unit.disarm() == "fired\n"

    def test_arming_again_begins_a_new_deadline(
        self, slow_unit: Guarded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard, "SECONDS", 5)
        slow_unit.arm()
        armed = time.monotonic()
        monkeypatch.setattr(guard, "SECONDS", 120)
        assert slow_unit.arm() == 0
        time.sleep(max(0, armed + 5.5 - time.monotonic()))
        assert slow_unit.conf == "new\n", "the dead worker's deadline was kept"
        assert slow_unit.disarm() == ""

    def test_arming_while_one_is_at_work_tells_that_the_old_file_is_back(
        self, slow_unit: Guarded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard, "SECONDS", 1)
        slow_unit.arm()
        slow_unit.at_work()
        assert slow_unit.arm() == ALREADY_BACK

    def test_a_guard_without_a_backup_leaves_the_file_alone(
        self, slow_unit: Guarded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard, "SECONDS", 1)
        slow_unit.shell(f"rm {FILES}/backup")
        slow_unit.arm()
        time.sleep(2)
        assert slow_unit.conf == "new\n"
        assert slow_unit.disarm() == ""


@pytest.mark.lab
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["live-1", "restart-1"])
def test_a_quiet_loglevel_does_not_hide_that_a_server_is_ready(crash_lab: Lab, name: str) -> None:
    prepare = (
        "d=/run/dry-run-test; mkdir $d; { cat /etc/redis/redis.conf; echo loglevel warning; } "
        ">$d/redis.conf; chown -R redis:redis $d"
    )
    crash_lab.exec(name, ["bash", "-c", prepare])
    path, directory = "/run/dry-run-test/redis.conf", "/run/dry-run-test"
    command = dry_run_command("redis-server", path, "redis", tls_port=0, directory=directory)
    said = crash_lab.exec(name, list(command.argv))
    crash_lab.exec(name, ["rm", "-rf", directory])
    assert parse_dry_run(Result(said.returncode, said.stdout, said.stderr)) is None


@pytest.mark.lab
@pytest.mark.timeout(120)
def test_a_server_that_loads_long_is_restarted(nodes: dict[str, TestNode]) -> None:
    node = nodes["live-1"]
    # A millisecond a key, seen to every few keys: longer than systemctl is waited for.
    load = """
    printf '%s\\n' 'key-load-delay 1000' 'loading-process-events-interval-bytes 1024' >>"$1"
    redis-cli EVAL 'for i = 1, 8000 do redis.call("set", i, i) end' 0; redis-cli SAVE
    """
    tidy = """
    sed -i '/^key-load-delay/d; /^loading-process-events/d' "$1"; redis-cli FLUSHALL; redis-cli SAVE
    """

    def shell(script: str) -> None:
        node.lab.exec("live-1", ["bash", "-c", script, "shell", "/etc/redis/redis.conf"])

    shell(load)
    run = node.ask("install", apply="restart")
    run_drive(run=run.pk)
    shell(tidy)
    run.refresh_from_db()
    assert run.state == Run.State.SUCCEEDED, run.failure
    said = run.records.get(step="restart", kind="applied").says
    assert int(said.rpartition("about ")[2].split()[0]) > 5000, said

    run = node.ask("uninstall", apply="restart")
    run_drive(run=run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.SUCCEEDED, run.failure
