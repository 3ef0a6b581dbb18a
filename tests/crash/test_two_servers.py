"""Two servers on one machine: each its own port, directory and guard, never two runs at once."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from addons.authorities import issuing_authority
from addons.models import MachineLock, Run
from addons.runs.drive import run_drive
from instances.looks import node_look
from instances.models import Environment
from instances.secret import Secret
from instances.services import (
    NodeRequest,
    credential_create,
    environment_create,
    group_create,
    node_register,
)
from lab import Lab, LabNode
from tests.crash.conftest import ACTOR, TestNode
from tests.crash.node_state import closed, read_state, tls_ping

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

HOST = "live-1"
UNITS = {"first": "redis-server.service", "second": "redis-second.service"}
CONFIGS = {"first": "/etc/redis/redis.conf", "second": "/etc/redis/second.conf"}
PORTS = {"first": "6380", "second": "6381"}

MAKE = """
sed -e 's/^port .*/port 6479/; s/^dbfilename .*/dbfilename second.rdb/' \\
  -e 's/redis-server\\.\\(pid\\|log\\)/redis-second.\\1/' -e 's#/run/redis/#/run/redis-second/#' \\
  /etc/redis/redis.conf >/etc/redis/second.conf
chown --reference=/etc/redis/redis.conf /etc/redis/second.conf
chmod --reference=/etc/redis/redis.conf /etc/redis/second.conf
sed -e 's#/etc/redis/redis.conf#/etc/redis/second.conf#' -e '/^Alias=/d' \\
  -e 's#RuntimeDirectory=redis#RuntimeDirectory=redis-second#; s#/run/redis/#/run/redis-second/#' \\
  /lib/systemd/system/redis-server.service >/etc/systemd/system/redis-second.service
systemctl daemon-reload
systemctl start redis-second
"""
UNMAKE = """
systemctl stop redis-second
rm -f /etc/systemd/system/redis-second.service /etc/redis/second.conf /var/lib/redis/second.rdb
systemctl daemon-reload
"""
LOOK = """
sha256sum /etc/redis/second.conf; stat -c '%U %G %a' /etc/redis/second.conf
redis-cli -p 6479 CONFIG GET 'tls-*' | sort; redis-cli -p 6479 PING
"""


def shell(lab: Lab, script: str) -> str:
    done = lab.exec(HOST, ["bash", "-euc", script])
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.fixture
def host(crash_lab: Lab, transactional_db: None) -> Iterator[LabNode]:
    shell(crash_lab, MAKE)
    yield next(each for each in crash_lab.nodes() if each.name == HOST)
    shell(crash_lab, UNMAKE)


@pytest.fixture
def environment(host: LabNode) -> Environment:
    key = Secret(Path(host.identity).read_text())
    credential_create(actor=ACTOR, name="lab", private_key=key)
    return environment_create(actor=ACTOR, name="crash")


def register(
    lab: Lab, host: LabNode, environment: Environment, *, together: bool
) -> dict[str, TestNode]:
    found: dict[str, TestNode] = {}
    for name, unit in UNITS.items():
        group = environment.groups.filter(name="both").first() or group_create(
            actor=ACTOR, environment=environment, name="both" if together else name
        )
        request = NodeRequest(
            address=host.address,
            name=name,
            host_key=host.host_key,
            unit=unit,
            config_path=CONFIGS[name],
        )
        node = node_register(actor=ACTOR, group=group, request=request)
        node_look(node=node.pk)
        node.refresh_from_db()
        assert not node.fault
        found[name] = TestNode(lab, host, node)
    return found


def at_once(runs: list[Run]) -> None:
    """Workers for all of them at the same time, again and again until each run has ended."""
    deadline = time.monotonic() + 60
    waiting = runs
    while waiting and time.monotonic() < deadline:
        connections.close_all()
        children = [_worker(run) for run in waiting]
        for child in children:
            os.waitpid(child, 0)
        for run in waiting:
            run.refresh_from_db()
        waiting = [run for run in waiting if run.state not in Run.ENDED]


def _worker(run: Run) -> int:
    child = os.fork()
    if child == 0:
        try:
            run_drive(run=run.pk)
        finally:
            os._exit(0)
    return child


@pytest.mark.parametrize("apply", ["live", pytest.param("restart", marks=pytest.mark.long)])
def test_two_runs_on_one_machine_wait_for_each_other_and_both_end_right(
    crash_lab: Lab, host: LabNode, environment: Environment, apply: str
) -> None:
    nodes = register(crash_lab, host, environment, together=False)
    before = read_state(crash_lab, HOST), shell(crash_lab, LOOK)

    installs = [nodes[n].ask("install", apply=apply, tls_port=PORTS[n]) for n in UNITS]
    at_once(installs)

    assert [run.state for run in installs] == [Run.State.SUCCEEDED] * 2, [
        run.failure for run in installs
    ]
    first, second = sorted(installs, key=lambda run: run.started_at or run.created_at)
    assert first.ended_at is not None
    assert second.started_at is not None
    assert first.ended_at <= second.started_at
    authority = issuing_authority(environment).certificate
    for port in PORTS.values():
        assert tls_ping(host.address, authority, int(port)) == b"+PONG\r\n"
    taken = nodes["second"].ask("install", tls_port="6380")
    run_drive(run=taken.pk)
    taken.refresh_from_db()
    assert (taken.state, taken.failure["reason"]) == (Run.State.REFUSED, "PortTaken")

    at_once([nodes[name].ask("uninstall", apply=apply) for name in UNITS])

    after = read_state(crash_lab, HOST), shell(crash_lab, LOOK)
    assert after == before, after[0].lines_unlike(before[0])
    assert all(closed(host.address, int(port)) for port in PORTS.values())
    assert not MachineLock.objects.exists()


@pytest.mark.parametrize("confirmed", [False, True], ids=["preview", "install"])
def test_two_servers_of_one_group_on_one_machine_are_refused_by_name(
    crash_lab: Lab, host: LabNode, environment: Environment, confirmed: bool
) -> None:
    nodes = register(crash_lab, host, environment, together=True)
    before = read_state(crash_lab, HOST)
    run = nodes["first"].ask("install")
    if not confirmed:
        Run.objects.filter(pk=run.pk).update(state=Run.State.PREVIEWING)

    run_drive(run=run.pk)

    run.refresh_from_db()
    assert (run.state, run.failure["reason"]) == (Run.State.REFUSED, "TlsPortShared")
    assert "different groups" in run.failure["next_step"]
    told = run.records.filter(kind="failed", says__contains="of the same group")
    assert set(told.values_list("node__name", flat=True)) == set(UNITS)
    assert read_state(crash_lab, HOST) == before
