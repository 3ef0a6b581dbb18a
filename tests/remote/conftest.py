import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from instances.remote.host import Host
from instances.remote.local import LocalHost
from instances.remote.ssh import SshHost
from tests.remote.redis_server import Authority, RedisServer, running_redis
from tests.remote.sshd import Sshd, running_sshd


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def strict_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One that forbids forwarding."""
    with running_sshd(tmp_path_factory.mktemp("strict-sshd"), forwarding=False) as server:
        yield server


KINDS = ["local", "ssh", "ssh without forwarding", "ssh through a jump host"]


@pytest.fixture(params=KINDS, scope="session")
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Shared by all tests: open it once, as a run does."""
    opened = open_host(request.param, request, "/nonexistent/lock")
    yield opened
    opened.close()


@pytest.fixture(params=KINDS)
def doomed_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    opened = open_host(request.param, request, "/nonexistent/lock")
    yield opened
    opened.close()


def open_host(kind: str, request: pytest.FixtureRequest, lock_path: str) -> Host:
    if kind == "local":
        return LocalHost.open(lock_path=lock_path)
    if kind == "ssh without forwarding":
        return SshHost.open(request.getfixturevalue("strict_sshd").target, lock_path=lock_path)
    target = request.getfixturevalue("sshd").target
    if kind == "ssh through a jump host":
        jump = request.getfixturevalue("strict_sshd").target
        target = dataclasses.replace(target, jump=jump)
    return SshHost.open(target, lock_path=lock_path)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalHost]:
    opened = LocalHost.open(lock_path=str(tmp_path / "lock"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def redis_server(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis"), authority) as server:
        yield server
