"""The lab itself: nodes keep what a real host keeps, and a lab leaves nothing behind."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab, LabError, LabNode, NodeSpec, redisconf
from lab.disk import Disk
from lab.processes import ProcessIdentity
from lab.spec import Firewall
from lab.state import LabFiles, locked, state_root
from tests.labs import name_of_lab

BACKENDS: tuple[Firewall, ...] = ("nftables", "iptables", "ufw", "firewalld")
LAB = name_of_lab("lab")
LAB_TO_KILL = name_of_lab("kill")
CHECKOUT = Path(__file__).parents[1]


# What needs no host


def test_a_node_cannot_be_asked_for_what_its_release_lacks() -> None:
    with pytest.raises(LabError, match="only trixie has Valkey"):
        NodeSpec(name="cache-1", image="bookworm", server="valkey")


def test_a_node_name_is_a_host_name() -> None:
    with pytest.raises(LabError, match="no host name"):
        NodeSpec(name="../etc")


def test_the_stock_file_is_opened_with_its_comments_kept() -> None:
    stock = "# bind 10.0.0.1\nbind 127.0.0.1 -::1\nprotected-mode yes\n# requirepass foobared\n"

    opened = redisconf.with_password(redisconf.opened(stock, wildcard="*"), 'a"b')

    assert opened == (
        "# bind 10.0.0.1\nbind * -::*\nprotected-mode no\n"
        '# requirepass foobared\nrequirepass "a\\"b"\n'
    )


def test_a_changed_file_keeps_owner_and_mode_of_the_one_it_covers(tmp_path: Path) -> None:
    layer, upper = tmp_path / "layer", tmp_path / "upper"
    (layer / "etc/redis").mkdir(parents=True, mode=0o750)
    upper.mkdir()
    (layer / "etc/redis/redis.conf").write_text("old")
    (layer / "etc/redis/redis.conf").chmod(0o640)
    disk = Disk(upper, (layer,))

    disk.write("/etc/redis/redis.conf", "new", like="/etc/redis/redis.conf")

    assert disk.read("/etc/redis/redis.conf") == "new"
    assert (upper / "etc/redis/redis.conf").stat().st_mode & 0o777 == 0o640
    assert (upper / "etc/redis").stat().st_mode & 0o777 == 0o750


def test_a_process_id_given_to_another_process_is_not_the_same_process() -> None:
    this = ProcessIdentity.of(os.getpid())

    assert this.alive()
    assert not dataclasses.replace(this, started=this.started + 1).alive()
    assert not dataclasses.replace(this, boot="another boot").alive()


# Real hosts


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with locked(state_root() / "locks" / f".pytest-{LAB}"):
        lab = Lab(name=LAB)
        lab.down()
        lab.up(
            [
                *(NodeSpec(name=f"with-{backend}", firewall=backend) for backend in BACKENDS),
                NodeSpec(name="with-none", firewall="none"),
                NodeSpec(name="stock", stock_config=True),
            ]
        )
        yield lab
        lab.down()


def node_named(lab: Lab, name: str) -> LabNode:
    return next(node for node in lab.nodes() if node.name == name)


def reaches(node: LabNode, port: int) -> bool:
    try:
        with socket.create_connection((node.address, port), timeout=0.7):
            return True
    except OSError:
        return False


def ask(node: LabNode, *commands: str) -> str:
    """Send commands to the node's server; return the raw reply to the last."""
    with socket.create_connection((node.address, 6379), timeout=2) as connection:
        connection.settimeout(2)
        reply = b""
        for command in commands:
            connection.sendall(f"{command}\r\n".encode())
            reply = connection.recv(16384)
    return reply.decode()


def shell(lab: Lab, name: str, script: str) -> str:
    done = lab.exec(name, ["sh", "-c", script])
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def ssh(node: LabNode, *command: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
    options = ["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "StrictHostKeyChecking=no"]
    known = ["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes"]
    target = f"{user or node.user}@{node.address}"
    return subprocess.run(
        ["ssh", *options, *known, "-i", node.identity, target, *command],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip


def offered_host_key(node: LabNode) -> str:
    scan = ["ssh-keyscan", "-t", "ed25519", node.address]
    keys = subprocess.run(scan, capture_output=True, timeout=10, check=True).stdout
    shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=keys, capture_output=True, check=True)
    return shown.stdout.decode().split()[1]


def listen_on_6380(lab: Lab, name: str) -> None:
    server = "redis-server --port 6380 --bind 0.0.0.0 --protected-mode no --save ''"
    shell(lab, name, f"systemd-run --quiet {server}")
    shell(lab, name, "timeout 5 sh -c 'until redis-cli -p 6380 ping; do sleep 0.05; done'")


@pytest.mark.lab
def test_ssh_lets_the_lab_key_in_and_shows_the_listed_host_key(lab: Lab) -> None:
    node = node_named(lab, "with-nftables")

    assert ssh(node, "hostname").stdout == "with-nftables\n"
    assert offered_host_key(node) == node.host_key


@pytest.mark.lab
def test_nodes_of_one_image_have_host_keys_of_their_own(lab: Lab) -> None:
    assert len({node.host_key for node in lab.nodes()}) == len(lab.nodes())


@pytest.mark.lab
def test_a_stock_node_answers_on_loopback_only(lab: Lab) -> None:
    assert not reaches(node_named(lab, "stock"), 6379)
    assert shell(lab, "stock", "redis-cli ping") == "PONG"


@pytest.mark.lab
def test_the_configuration_belongs_to_the_server_and_is_closed_to_others(lab: Lab) -> None:
    owner = shell(lab, "with-nftables", "stat -c '%U:%G %a' /etc/redis/redis.conf")

    assert owner == "redis:redis 640"


@pytest.mark.lab
def test_each_firewall_blocks_an_open_port_and_still_does_after_a_reboot(lab: Lab) -> None:
    nodes = [node_named(lab, name) for name in ("with-none", *(f"with-{b}" for b in BACKENDS))]

    def reachable() -> dict[str, bool]:
        for node in nodes:
            listen_on_6380(lab, node.name)
        return {node.name: reaches(node, 6380) for node in nodes}

    expected = {node.name: node.name == "with-none" for node in nodes}
    assert reachable() == expected

    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.reboot, [node.name for node in nodes]))

    assert reachable() == expected
    assert all(ask(node, "PING") == "+PONG\r\n" for node in nodes)


@pytest.mark.lab
@pytest.mark.parametrize("how", ["reboot", "stop and start"])
def test_a_node_keeps_address_host_key_and_disk(lab: Lab, how: str) -> None:
    before = node_named(lab, "with-nftables")
    shell(lab, before.name, f"echo '{how}' > /etc/mark; redis-cli set mark '{how}'")
    shell(lab, before.name, "touch /run/forgotten")

    if how == "reboot":
        lab.reboot(before.name)
    else:
        lab.stop(before.name)
        assert node_named(lab, before.name).state == "stopped"
        lab.start(before.name)

    assert node_named(lab, before.name) == before
    assert offered_host_key(before) == before.host_key
    assert shell(lab, before.name, "cat /etc/mark; redis-cli get mark") == f"{how}\n{how}"
    assert lab.exec(before.name, ["test", "-e", "/run/forgotten"]).returncode == 1


@pytest.mark.lab
def test_a_cut_node_runs_on_out_of_reach_until_it_is_mended(lab: Lab) -> None:
    node = node_named(lab, "with-nftables")

    lab.cut(node.name)
    assert node_named(lab, node.name).state == "cut"
    assert not reaches(node, 22)
    assert shell(lab, node.name, "redis-cli ping") == "PONG"
    lab.reboot(node.name)
    assert not reaches(node, 22)

    lab.mend(node.name)
    assert node_named(lab, node.name).state == "running"
    assert ask(node, "PING") == "+PONG\r\n"


@pytest.mark.lab
def test_the_command_line_lists_what_others_need_to_log_in(lab: Lab) -> None:
    command = [sys.executable, "-m", "lab", "--lab", LAB, "list", "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True, timeout=10)

    listed = {node["name"]: node for node in json.loads(done.stdout)}
    node = node_named(lab, "with-ufw")
    assert listed["with-ufw"] == {
        "name": "with-ufw",
        "address": node.address,
        "image": "bookworm",
        "server": "redis",
        "state": "running",
        "user": "root",
        "ssh_port": 22,
        "host_key": node.host_key,
        "identity": str(LabFiles(LAB).identity),
        "firewall": "ufw",
        "config_path": "/etc/redis/redis.conf",
    }


@pytest.mark.lab
def test_exec_passes_input_output_and_exit_status(lab: Lab) -> None:
    command = [sys.executable, "-m", "lab", "--lab", LAB, "exec", "stock", "--"]
    script = ["sh", "-c", "cat; hostname; exit 7"]
    ran = [*command, *script]
    done = subprocess.run(
        ran, cwd=CHECKOUT, input=b"in ", capture_output=True, timeout=10, check=False
    )

    assert (done.stdout, done.returncode) == (b"in stock\n", 7)


@pytest.mark.lab
def test_a_node_as_a_careful_owner_has_it(lab: Lab) -> None:
    (node,) = lab.up(
        [
            NodeSpec(
                name="careful", config_path="/etc/redis.conf", user="deploy",
                password="open sesame", forwarding=False,
            )
        ]
    )  # fmt: skip

    assert ssh(node, "sudo -n id -u").stdout == "0\n"
    assert ssh(node, "true", user="root").returncode == 255
    assert "allowtcpforwarding no" in shell(lab, node.name, "sshd -T")
    assert ask(node, "PING").startswith("-NOAUTH")
    assert ask(node, 'AUTH "open sesame"', "PING") == "+PONG\r\n"
    assert shell(lab, node.name, "stat -c '%U %a' /etc/redis.conf") == "redis 640"
    assert lab.exec(node.name, ["test", "-e", "/etc/redis/redis.conf"]).returncode == 1
    assert lab.nodes()[-1].config_path == "/etc/redis.conf"


@pytest.mark.lab
def test_each_server_comes_in_its_version(lab: Lab) -> None:
    wanted = {
        "bullseye": (NodeSpec(name="bullseye", image="bullseye"), "redis_version:6.0.16", True),
        "trixie": (NodeSpec(name="trixie", image="trixie"), "redis_version:8.0", True),
        "valkey": (
            NodeSpec(name="valkey", image="trixie", server="valkey"), "valkey_version:8.1", True,
        ),
        "old": (NodeSpec(name="old", server="redis-6.2"), "redis_version:6.2.14", True),
        "no-tls": (NodeSpec(name="no-tls", server="redis-without-tls"), "redis_version:6.2", False),
    }  # fmt: skip

    for node in lab.up([spec for spec, _, _ in wanted.values()]):
        _, version, with_tls = wanted[node.name]
        assert version in ask(node, "INFO server")
        assert ("tls-port" in ask(node, "CONFIG GET tls-port")) == with_tls
        assert shell(lab, node.name, "systemctl is-system-running --wait") == "running"


# What a lab leaves behind


def leftovers(name: str) -> list[str]:
    """Whatever still carries the name of a lab on this machine."""
    found = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/redoubt-lab/{name}")]
    found += [str(path) for path in [LabFiles(name).root] if path.exists()]
    for path in Path("/proc").glob("[0-9]*"):
        try:
            grouped = f"/redoubt-lab/{name}/" in (path / "cgroup").read_text()
            mounted = f"/labs/{name}/" in (path / "mountinfo").read_text()
        except OSError:
            continue
        if grouped or mounted:
            found.append(f"{path}: {(path / 'cmdline').read_text()!r}")
    return found


def interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").glob("r*")}


def bridge_of(name: str) -> str:
    subnets = json.loads((state_root() / "subnets.json").read_text())
    return f"redoubt{subnets[name]}"


@pytest.fixture
def doomed() -> Iterator[Lab]:
    with locked(state_root() / "locks" / f".pytest-{LAB_TO_KILL}"):
        lab = Lab(name=LAB_TO_KILL)
        lab.down()
        yield lab
        lab.down()


@pytest.mark.lab
def test_down_leaves_nothing_and_spares_other_labs(lab: Lab, doomed: Lab) -> None:
    doomed.up([NodeSpec(name="one"), NodeSpec(name="two")])
    bridge = bridge_of(LAB_TO_KILL)
    assert leftovers(LAB_TO_KILL)

    doomed.down(["one"])
    assert [node.name for node in doomed.nodes()] == ["two"]
    doomed.down()

    assert leftovers(LAB_TO_KILL) == []
    assert bridge not in interfaces()
    assert ask(node_named(lab, "with-nftables"), "PING") == "+PONG\r\n"


@pytest.mark.lab
def test_what_a_killed_lab_left_is_taken_over_and_taken_down(doomed: Lab) -> None:
    (before,) = doomed.up([NodeSpec(name="one")])
    files = LabFiles(LAB_TO_KILL).node("one")

    for _ in range(2):
        supervisor = files.process("supervisor")
        assert supervisor is not None
        supervisor.send(signal.SIGKILL)
        assert supervisor.wait_gone(timeout=2)
        assert doomed.nodes()[0].state == "stopped"
        assert doomed.up([NodeSpec(name="one")]) == [before]
    supervisor = files.process("supervisor")
    assert supervisor is not None
    supervisor.send(signal.SIGKILL)
    doomed.down()

    assert leftovers(LAB_TO_KILL) == []


@pytest.mark.lab
@pytest.mark.parametrize("seconds", [0.3, 0.8])
def test_an_up_that_was_killed_half_way_can_be_repeated(doomed: Lab, seconds: float) -> None:
    command = [sys.executable, "-m", "lab", "--lab", LAB_TO_KILL, "up", "--count", "3"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as killed:
        time.sleep(seconds)
        killed.kill()

    nodes = doomed.up([NodeSpec(name=f"node-{n}") for n in range(1, 4)])

    assert [node.state for node in nodes] == ["running"] * 3
    doomed.down()
    assert leftovers(LAB_TO_KILL) == []
