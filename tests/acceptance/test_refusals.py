"""What cannot be done is refused before anything is touched, by its name and with a next step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

import pytest

from addons.runs import work
from instances.models import Machine
from instances.remote.host_key import fingerprint
from tests.acceptance.outside import reachable
from tests.acceptance.panel import refused, said, warnings
from tests.acceptance.photograph import cli, config_of, shell
from tests.acceptance.stage import PASSWORD, Stage

pytestmark = pytest.mark.lab


def _refusal(stage: Stage, name: str, **settings: str) -> str:
    """The reason that preview and install give alike, with the node as it was."""
    before = stage.photograph(name)
    shown = refused(stage.panel.preview(name, **settings))
    assert refused(stage.panel.try_install(name, **settings)) == shown
    assert before.differences(stage.photograph(name)) == []
    return shown


@contextmanager
def _changed(stage: Stage, name: str, break_it: str, mend_it: str) -> Iterator[None]:
    shell(stage.lab, name, break_it)
    try:
        yield
    finally:
        shell(stage.lab, name, mend_it)


@contextmanager
def _config_lines(stage: Stage, name: str, *lines: str) -> Iterator[None]:
    """The server runs with more lines at the end of its file, and afterwards without them."""
    path = stage.hosts[name].config_path
    unit = "valkey-server" if stage.hosts[name].server == "valkey" else "redis-server"
    restart = f"systemctl reset-failed {unit}; systemctl restart {unit}"
    shell(
        stage.lab,
        name,
        f'cp -p "$1" /root/kept.conf; shift; printf "%s\\n" "$@" >>{path}; {restart}',
        path,
        *lines,
    )
    try:
        yield
    finally:
        shell(stage.lab, name, f"cat /root/kept.conf >{path}; rm /root/kept.conf; {restart}")


def test_a_server_built_without_tls(stage: Stage) -> None:
    stage.register("notls")

    assert _refusal(stage, "notls") == "NoTls"


def test_a_port_that_something_else_has(stage: Stage) -> None:
    stage.register("cache")
    taken = "systemd-run --quiet --unit=taker systemd-socket-activate -l 6380 cat"

    with _changed(stage, "cache", taken, "systemctl stop taker"):
        assert _refusal(stage, "cache") == "PortTaken"


def test_a_disk_with_no_room(stage: Stage) -> None:
    stage.register("cache")
    fill = (
        "mount -t tmpfs -o size=8m,mode=0755 tmpfs /mnt; cp -a /etc/. /mnt/; mount --bind /mnt /etc"
    )

    with _changed(stage, "cache", fill, "umount /etc /mnt"):
        assert _refusal(stage, "cache") == "DiskFull"


def test_a_clock_that_is_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(minutes=6)

    stage.register("cache")
    # The nodes of the lab share this machine's clock, so it is the panel's that is set wrong.
    monkeypatch.setattr(work, "datetime", Late)

    assert _refusal(stage, "cache") == "ClockOff"


def test_a_password_that_is_missing_or_wrong(stage: Stage) -> None:
    node = stage.panel.register(stage.hosts["withpass"])
    assert node.fault["reason"] == "PasswordNeeded"
    assert _refusal(stage, "withpass") == "PasswordNeeded"

    node.server_password = type(node.server_password)("wrong")
    node.save()

    assert stage.panel.look("withpass").fault["reason"] == "PasswordWrong"
    assert _refusal(stage, "withpass") == "PasswordWrong"


def test_a_host_key_that_changed(stage: Stage) -> None:
    stage.register("cache")
    other = stage.panel.register(stage.hosts["trixie"])
    Machine.objects.filter(address=stage.address("cache")).update(host_key=other.machine.host_key)
    assert fingerprint(other.machine.host_key) != stage.hosts["cache"].host_key

    assert _refusal(stage, "cache") == "HostKeyChanged"
    assert stage.panel.look("cache").fault["reason"] == "HostKeyChanged"


def test_a_host_key_other_than_the_one_that_was_given(stage: Stage) -> None:
    host = replace(stage.hosts["cache"], host_key=stage.hosts["trixie"].host_key)

    assert stage.panel.register(host).fault["reason"] == "HostKeyDiffers"
    assert _refusal(stage, "cache") == "HostKeyUnconfirmed"


def test_a_user_who_may_not_use_sudo(stage: Stage) -> None:
    stage.register("etcconf")
    forbid = "mv /etc/sudoers.d/deploy /root/"

    with _changed(stage, "etcconf", forbid, "mv /root/deploy /etc/sudoers.d/"):
        assert stage.panel.look("etcconf").fault["reason"] == "SudoRefused"
        assert _refusal(stage, "etcconf") == "SudoRefused"


@pytest.mark.parametrize("name", ["stock", "stock-legacy"])
def test_protected_mode_is_named_by_the_preview_already(name: str, stage: Stage) -> None:
    stage.register(name)

    if name == "stock":
        assert _refusal(stage, name, bind="node") == "ProtectedMode"
    else:
        # 6.0 denies only where no bind directive stands.
        assert stage.panel.preview(name, bind="node").state == "previewed"


SELF_SIGNED = """
cd /etc/redis && mkdir own && cd own
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
  -subj /CN=own -addext subjectAltName=IP:$1 -keyout own.key -out own.crt 2>/dev/null
chown -R redis:redis /etc/redis/own
"""


@pytest.fixture
def own_tls(stage: Stage) -> Iterator[Stage]:
    """Node cache, speaking TLS that its operator has set up."""
    shell(stage.lab, "cache", SELF_SIGNED, stage.address("cache"))
    lines = (
        "tls-port 7000",
        "tls-cert-file /etc/redis/own/own.crt",
        "tls-key-file /etc/redis/own/own.key",
        "tls-ca-cert-file /etc/redis/own/own.crt",
        "tls-auth-clients no",
    )
    with _config_lines(stage, "cache", *lines):
        yield stage
    shell(stage.lab, "cache", "rm -r /etc/redis/own")


def test_a_server_that_speaks_tls_already_is_adopted_only_by_choice(own_tls: Stage) -> None:
    panel = own_tls.panel
    own_tls.register("cache")
    assert _refusal(own_tls, "cache") == "AlreadyTls"
    before = own_tls.photograph("cache")

    run = panel.install("cache", adopt="yes")

    assert not said(run, "before", "applied")
    assert panel.installed("cache").conditions[0]["reason"] == "Adopted"
    assert not said(panel.install("cache"), "before", "applied")
    assert not said(panel.uninstall("cache"), "before", "applied")
    assert before.differences(own_tls.photograph("cache")) == []


def test_a_server_without_a_plain_port_is_looked_at_and_adopted(own_tls: Stage) -> None:
    panel, path = own_tls.panel, own_tls.hosts["cache"].config_path
    restart = "systemctl reset-failed redis-server; systemctl restart redis-server"
    only_tls = f"echo port 0 >>{path}; {restart}"

    with _changed(own_tls, "cache", only_tls, f"sed -i '$d' {path}; {restart}"):
        own_tls.register("cache")
        assert refused(panel.try_install("cache")) == "AlreadyTls"

        assert not said(panel.install("cache", adopt="yes"), "before", "applied")

        assert panel.installed("cache").conditions[0]["reason"] == "Adopted"
        assert not said(panel.uninstall("cache"), "before", "applied")


def test_an_aclfile_that_asks_for_no_password_does_not_open_the_plain_port(stage: Stage) -> None:
    path = "/etc/redis/users.acl"
    anybody = f"echo 'user default on nopass ~* &* +@all' >{path}; chown redis: {path}"

    with (
        _changed(stage, "stock", anybody, f"rm {path}"),
        _config_lines(stage, "stock", f"aclfile {path}"),
    ):
        stage.register("stock")
        assert _refusal(stage, "stock", bind="node") == "ProtectedMode"
        before = stage.photograph("stock")

        stage.panel.install("stock", bind="node", protected_mode="no")

        assert stage.speaks_tls("stock")
        assert not reachable(stage.address("stock"), 6379)
        stage.panel.uninstall("stock")
        assert before.differences(stage.photograph("stock")) == []


def test_a_server_that_hides_config_is_changed_by_its_file_and_a_restart(stage: Stage) -> None:
    with _config_lines(stage, "cache", 'rename-command CONFIG ""'):
        stage.register("cache")
        before = stage.photograph("cache")

        run = stage.panel.install("cache")

        assert "NeedsRestart" in warnings(run)
        assert stage.speaks_tls("cache")
        assert not said(stage.panel.install("cache"), "before", "applied")
        stage.panel.uninstall("cache")
        assert before.differences(stage.photograph("cache")) == []
    assert config_of(stage.lab, "cache", "tls-port") == {"tls-port": "0"}


def test_a_user_without_the_right_to_config_is_told_and_restarts(stage: Stage) -> None:
    user = "user panel on >word ~* &* +@all -config"
    with _config_lines(stage, "cache", user):
        node = stage.panel.register(stage.hosts["cache"], username="panel", password="word")
        assert node.fault["reason"] == "NoPermission"
        before = stage.photograph("cache")

        run = stage.panel.install("cache")

        assert "NeedsRestart" in warnings(run)
        assert stage.speaks_tls("cache")
        stage.panel.uninstall("cache")
        assert before.differences(stage.photograph("cache")) == []


def test_a_node_that_is_out_of_reach(stage: Stage) -> None:
    stage.register("trixie")
    stage.lab.cut("trixie")
    try:
        run = stage.panel.try_install("trixie")
    finally:
        stage.lab.mend("trixie")

    assert refused(run) in {"ConnectTimeout", "NoRoute", "Unreachable"}
    assert cli(stage.lab, "trixie", "PING").strip() == "PONG"
    assert PASSWORD not in str(run.failure)
