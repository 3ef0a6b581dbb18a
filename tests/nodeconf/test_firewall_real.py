"""Plans applied to real firewalls: each test has a network namespace of its own as the node, and
another one as the outside world. Root, nftables and iptables are needed; no lab node is.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from instances.nodeconf.command import Command, Result
from instances.nodeconf.firewall import (
    BACKENDS,
    Backend,
    FirewallChange,
    FirewallTexts,
    Rule,
)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        not all(shutil.which(program) for program in ("nft", "iptables", "unshare", "ip")),
        reason="needs nftables, iptables, iproute2 and util-linux",
    ),
]

SERVER = """
import socket, sys, threading
def answer(port):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("up", flush=True)
    while True:
        c, _ = s.accept()
        c.sendall(b"+PONG")
        c.close()
for port in (6379, 6380):
    threading.Thread(target=answer, args=(port,)).start()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.4) as s:
    sys.exit(s.recv(5) != b"+PONG")
"""
PREFIX = "redoubt:"
TAG = "redoubt:encryption:12"
V4, V6 = "10.99.0.1", "fd99::1"


@dataclass
class Namespaces:
    node: int
    outside: int
    files: Path
    absent: set[str] = field(default_factory=set)

    def path(self, path: str) -> Path:
        return self.files / path.strip("/").replace("/", "_")

    def run(self, command: Command, pid: int | None = None) -> Result:
        if command.argv[0] == "systemctl":  # The host's own units are another matter.
            return Result(0, b"enabled\n", b"")
        argv = [
            str(self.path(a)) if a.startswith(("/etc/nft", "/etc/iptables")) else a
            for a in command.argv
        ]
        done = subprocess.run(
            ["nsenter", "-n", "-t", str(pid or self.node), *argv],
            input=command.stdin,
            capture_output=True,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, *argv: str, stdin: bytes | None = None) -> str:
        result = self.run(Command(argv, stdin=stdin))
        assert result.code == 0, (argv, stdin, result.stderr)
        return result.text

    def texts(self, backend: Backend) -> FirewallTexts:
        return backend.parse([self.run(command) for command in backend.read_commands()])

    def apply(self, change: FirewallChange) -> None:
        for command in change.checks + change.commands:
            result = self.run(command)
            assert result.code in command.ok, (command, result.stderr)
        for path, content in change.files.items():
            self.path(path).write_bytes(content)

    def reaches(self, address: str, port: int, *, pid: int | None = None) -> bool:
        command = Command((sys.executable, "-c", CLIENT, address, str(port)))
        return self.run(command, pid or self.outside).code == 0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Namespaces]:
    sleeps = [subprocess.Popen(["unshare", "-n", "sleep", "300"]) for _ in range(2)]
    try:
        node, outside = (process.pid for process in sleeps)
        host = Path("/proc/self/ns/net").readlink()
        while any(Path(f"/proc/{pid}/ns/net").readlink() == host for pid in (node, outside)):
            time.sleep(0.01)
        found = Namespaces(node, outside, tmp_path)
        for pid, four, six in ((node, V4, V6), (outside, "10.99.0.2", "fd99::2")):
            ip = ["nsenter", "-n", "-t", str(pid), "ip"]
            if pid == node:
                peer = ["peer", "name", "veth0", "netns", str(outside)]
                subprocess.run([*ip, "link", "add", "veth0", "type", "veth", *peer], check=True)
            subprocess.run([*ip, "addr", "add", f"{four}/24", "dev", "veth0"], check=True)
            subprocess.run([*ip, "addr", "add", f"{six}/64", "dev", "veth0", "nodad"], check=True)
            for link in ("lo", "veth0"):
                subprocess.run([*ip, "link", "set", link, "up"], check=True)
        yield from _with_server(found)
    finally:
        for process in sleeps:
            process.kill()
            process.wait()


def _with_server(found: Namespaces) -> Iterator[Namespaces]:
    argv = ["nsenter", "-n", "-t", str(found.node), sys.executable, "-c", SERVER]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
        assert server.stdout
        server.stdout.readline()
        server.stdout.readline()
        yield found
        server.kill()


NFT_CONFS = {
    "one inet table with default drop": """#!/usr/sbin/nft -f
# our firewall; do not touch { by hand
flush ruleset
define admins = { 10.99.0.0/24,
    192.0.2.1 }
table inet filter {
\tset banned {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.66 }
\t}
    chain input {
        type filter hook input priority 0; policy drop;
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        ct state { established, related } accept
        iif lo accept
        ip saddr $admins tcp dport { 22, 6379 } accept
        ip6 saddr fd99::/64 tcp dport { 22, 6379 } accept # "quoted }
        reject with icmpx type port-unreachable
    }
    chain output {
        type filter hook output priority filter
        policy accept
    }
}
""",
    "a table a family, jumps, and an output that drops": """flush ruleset
table ip filter {
\tchain sent { tcp sport 6379 accept; }
\tchain services { tcp dport 6379 accept; }
\tchain input { type filter hook input priority 0; policy drop; iif lo accept; jump services; }
\tchain output { type filter hook output priority 0; policy drop; oif lo accept; jump sent; }
}
table ip6 filter {
\tchain input {
\t\ttype filter hook input priority 0
\t\tpolicy drop
\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
\t\tiif lo accept
\t\ttcp dport 6379 accept
\t}
\tchain output {
\t\ttype filter hook output priority 0; policy drop;
\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
\t\toif lo accept
\t\ttcp sport 6379 accept
\t}
}""",
    "flat commands": """flush ruleset
add table inet filter
add chain inet filter input { type filter hook input priority 0; policy drop; }
add rule inet filter input icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
add rule inet filter input iif lo accept
add rule inet filter input tcp dport { 22, 6379 } accept
add rule inet filter input drop
""",
    "two chains on the hook": """flush ruleset
table inet early {
  chain first {
    type filter hook input priority -10; policy accept;
    tcp dport { 22, 6379 } accept
    meta l4proto tcp iif != lo reject with tcp reset
  }
}
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    meta l4proto ipv6-icmp accept
    tcp dport vmap { 22 : accept, 6379 : accept }
  }
}
""",
}


def without_handles(text: str) -> str:
    return re.sub(r" # handle \d+", "", text)


@pytest.mark.parametrize("conf", NFT_CONFS.values(), ids=NFT_CONFS.keys())
@pytest.mark.parametrize(
    ("networks", "v6"),
    [
        ((), True),
        (("10.99.0.0/25", "192.0.2.0/24", "10.0.0.7"), False),
        (("10.99.0.0/16", "10.99.0.0/24", "fd99::/64"), True),
        (("0.0.0.0/0",), False),
        (("0.0.0.0/0", "::/0"), True),
    ],
)
def test_nftables_opens_the_port_now_and_after_a_reload_and_leaves_no_trace(
    lab: Namespaces, conf: str, networks: tuple[str, ...], *, v6: bool
) -> None:
    backend, file = BACKENDS["nftables"], lab.path("/etc/nftables.conf")
    file.write_text(conf)
    lab.must("nft", "-f", str(file))
    before = lab.must("nft", "-a", "list", "ruleset")
    wanted = [Rule(TAG, 6380, networks=networks)]
    assert not lab.reaches(V4, 6380)
    assert lab.reaches(V4, 6379)

    change = backend.plan(lab.texts(backend), wanted)
    assert not change.problems + change.warnings
    assert not backend.satisfied(lab.texts(backend), wanted, PREFIX).satisfied
    lab.apply(change)

    for _ in range(2):
        assert lab.reaches(V4, 6380)
        assert lab.reaches(V6, 6380) is v6
        again = backend.plan(lab.texts(backend), wanted)
        assert again.empty, again.describe
        assert backend.satisfied(lab.texts(backend), wanted, PREFIX).reason == "InPlace"
        lab.must("nft", "-f", str(file))
    # Some operators save what is in force over the file.
    assert backend.present(lab.texts(backend), TAG)

    lab.apply(backend.remove(lab.texts(backend), [TAG]))
    assert file.read_text() == conf
    assert without_handles(lab.must("nft", "-a", "list", "ruleset")) == without_handles(before)
    assert not lab.reaches(V4, 6380)
    assert backend.present(lab.texts(backend), TAG) == ()


@pytest.mark.parametrize(
    "conf", [*NFT_CONFS.values(), "flush ruleset\n", "flush ruleset"], ids=[*NFT_CONFS, "no", "nn"]
)
def test_nftables_closes_the_plain_port_from_outside_only(lab: Namespaces, conf: str) -> None:
    backend, file = BACKENDS["nftables"], lab.path("/etc/nftables.conf")
    file.write_text(conf)
    lab.must("nft", "-f", str(file))
    before = lab.must("nft", "list", "ruleset")
    wanted = [Rule(TAG, 6380), Rule(f"{TAG}:plain", 6379, "drop")]
    assert lab.reaches(V4, 6379)

    lab.apply(backend.plan(lab.texts(backend), wanted))
    for _ in range(2):
        assert backend.plan(lab.texts(backend), wanted).empty
        assert lab.reaches(V4, 6380)
        assert not lab.reaches(V4, 6379)
        assert not lab.reaches(V6, 6379)
        assert lab.reaches("127.0.0.1", 6379, pid=lab.node)
        lab.must("nft", "-f", str(file))

    lab.apply(backend.plan(lab.texts(backend), [], [TAG, f"{TAG}:plain"]))
    assert file.read_text() == conf
    assert lab.must("nft", "list", "ruleset") == before


def test_nftables_replaces_a_rule_whose_networks_changed(lab: Namespaces) -> None:
    backend, file = BACKENDS["nftables"], lab.path("/etc/nftables.conf")
    file.write_text(NFT_CONFS["one inet table with default drop"])
    lab.must("nft", "-f", str(file))
    lab.apply(backend.plan(lab.texts(backend), [Rule(TAG, 6380, networks=("192.0.2.0/24",))]))
    assert not lab.reaches(V4, 6380)

    lab.apply(backend.plan(lab.texts(backend), [Rule(TAG, 6380, networks=("10.99.0.2/32",))]))

    assert lab.reaches(V4, 6380)
    assert len(backend.present(lab.texts(backend), TAG)) == 2


IPTABLES_V4 = """# Generated by iptables-save v1.8.9 on Sat Nov 21 10:00:00 2026
*nat
:PREROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT DROP [12:720]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [10:600]
:services - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -j services
-A INPUT -m comment --comment "the rest; it's refused" -j REJECT --reject-with icmp-port-unreachable
-A services -p tcp -m multiport --dports 22,6379 -j ACCEPT
COMMIT
# Completed on Sat Nov 21 10:00:00 2026
"""
IPTABLES_V6 = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -p tcp -m tcp --dport 6379 -j ACCEPT
-A OUTPUT -p ipv6-icmp -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -p tcp -m tcp --sport 6379 -j ACCEPT
COMMIT
"""


def without_counters(text: str) -> str:
    return re.sub(r"\[\d+:\d+\]|^#.*\n", "", text, flags=re.MULTILINE)


def restore(lab: Namespaces) -> None:
    for program, path in (("iptables", "rules.v4"), ("ip6tables", "rules.v6")):
        text = lab.path(f"/etc/iptables/{path}").read_bytes()
        lab.must(f"{program}-restore", stdin=text)


def saved(lab: Namespaces) -> str:
    return without_counters(lab.must("iptables-save") + lab.must("ip6tables-save"))


@pytest.mark.parametrize(
    ("networks", "v6"),
    [
        ((), True),
        (("10.99.0.0/25", "192.0.2.0/24", "10.0.0.7"), False),
        (("10.99.0.2", "fd99::2"), True),
        (("0.0.0.0/0",), False),
    ],
)
def test_iptables_opens_and_closes_now_and_after_a_reload_and_leaves_no_trace(
    lab: Namespaces, networks: tuple[str, ...], *, v6: bool
) -> None:
    backend = BACKENDS["iptables"]
    files = [lab.path(f"/etc/iptables/rules.v{version}") for version in (4, 6)]
    files[0].write_text(IPTABLES_V4)
    files[1].write_text(IPTABLES_V6)
    restore(lab)
    before = saved(lab)
    assert not lab.reaches(V4, 6380)
    wanted = [Rule(TAG, 6380, networks=networks), Rule(f"{TAG}:plain", 6379, "drop")]

    lab.apply(backend.plan(lab.texts(backend), wanted))
    for _ in range(2):
        again = backend.plan(lab.texts(backend), wanted)
        assert again.empty, again.describe
        assert not again.problems + again.warnings
        assert lab.reaches(V4, 6380)
        assert lab.reaches(V6, 6380) is v6
        assert not lab.reaches(V4, 6379)
        assert lab.reaches("127.0.0.1", 6379, pid=lab.node)
        restore(lab)

    lab.apply(backend.remove(lab.texts(backend), [TAG, f"{TAG}:plain"]))
    assert files[0].read_text() == IPTABLES_V4
    assert files[1].read_text() == IPTABLES_V6
    assert saved(lab) == before
    assert lab.reaches(V4, 6379)
    assert not lab.reaches(V4, 6380)


UFW = """
mount -t tmpfs tmpfs /etc/ufw && cp -a "$1"/. /etc/ufw/
mount -t tmpfs tmpfs /run/lock
exec sleep 300
"""
OPERATORS = (
    ("default", "deny", "incoming"),
    ("allow", "6379/tcp"),
    ("deny", "from", "10.99.0.0/24", "to", "any", "port", "6380", "proto", "tcp"),
    ("--force", "enable"),
)


@dataclass
class UfwNamespaces(Namespaces):
    """ufw keeps its rules in /etc/ufw, so the node has one of its own as well."""

    mounts: int = 0

    def run(self, command: Command, pid: int | None = None) -> Result:
        if command.argv[0] != "ufw":
            return super().run(command, pid)
        argv = ["nsenter", "-n", "-m", "-t", str(self.mounts), *command.argv]
        done = subprocess.run(argv, input=command.stdin, capture_output=True, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    def kept(self) -> str:
        script = "cat /etc/ufw/user.rules /etc/ufw/user6.rules; iptables-save; ip6tables-save"
        argv = ["nsenter", "-n", "-m", "-t", str(self.mounts), "sh", "-c", script]
        done = subprocess.run(argv, capture_output=True, check=True, text=True)
        return without_counters(done.stdout)


@pytest.fixture
def ufw(lab: Namespaces, tmp_path: Path) -> Iterator[UfwNamespaces]:
    shutil.copytree("/etc/ufw", tmp_path / "ufw")
    inside = ["sh", "-ec", UFW, "sh", str(tmp_path / "ufw")]
    argv = ["nsenter", "-n", "-t", str(lab.node), "unshare", "-m", *inside]
    with subprocess.Popen(argv) as process:
        try:
            while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
                time.sleep(0.01)
            node = UfwNamespaces(lab.node, lab.outside, tmp_path, mounts=process.pid)
            for words in OPERATORS:
                assert node.run(Command(("ufw", *words))).code == 0
            yield node
        finally:
            process.kill()


@pytest.mark.skipif(not shutil.which("ufw"), reason="needs ufw")
@pytest.mark.parametrize(
    ("networks", "v6"),
    [
        pytest.param((), True, marks=pytest.mark.long),
        (("10.99.0.0/24",), False),
        (("0.0.0.0/0", "fd98::/15"), True),
    ],
)
def test_ufw_rules_win_over_the_operators_and_leave_no_trace(
    ufw: UfwNamespaces, networks: tuple[str, ...], *, v6: bool
) -> None:
    backend, before = BACKENDS["ufw"], ufw.kept()
    wanted = [Rule(TAG, 6380, networks=networks), Rule(f"{TAG}:plain", 6379, "drop")]
    assert ufw.reaches(V4, 6379)
    assert not ufw.reaches(V4, 6380)

    ufw.apply(backend.plan(ufw.texts(backend), wanted))
    for _ in range(2):
        again = backend.plan(ufw.texts(backend), wanted)
        assert again.empty, again.describe
        assert ufw.reaches(V4, 6380)
        assert ufw.reaches(V6, 6380) is v6
        assert not ufw.reaches(V4, 6379)
        assert ufw.reaches("127.0.0.1", 6379, pid=ufw.node)
        ufw.must("ufw", "reload")

    ufw.apply(backend.remove(ufw.texts(backend), [TAG, f"{TAG}:plain"]))
    assert ufw.kept() == before
    assert ufw.reaches(V4, 6379)
