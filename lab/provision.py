"""What makes a node itself: its name, keys, user, server configuration and firewall."""

import uuid

from lab import redisconf
from lab.disk import Disk
from lab.spec import SSH_PORT, NodeSpec

_UNITS = "/etc/systemd/system"
_USER_ID = 1000

_NFTABLES = """\
#!/usr/sbin/nft -f

flush ruleset

table inet filter {
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\tiif "lo" accept
\t\tmeta l4proto { icmp, ipv6-icmp } accept
\t\ttcp dport { PORTS } accept
\t}
\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t}
\tchain output {
\t\ttype filter hook output priority filter; policy accept;
\t}
}
"""


def provision(disk: Disk, spec: NodeSpec, *, host_key: str, authorised_key: str) -> None:
    """Write a new node's files.

    Args:
        disk: where they go.
        spec: what the node should be.
        host_key: the private half of its SSH host key.
        authorised_key: the public key that may log in.
    """
    disk.write("/etc/hostname", f"{spec.name}\n")
    disk.write("/etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{spec.name}\n::1\tlocalhost\n")
    disk.write("/etc/machine-id", f"{uuid.uuid4().hex}\n", mode=0o444)
    disk.write("/etc/ssh/ssh_host_ed25519_key", host_key, mode=0o600)
    _write_login(disk, spec, authorised_key)
    if spec.sentinel != "alone":
        _write_server(disk, spec)
    if spec.sentinel:
        _write_sentinel(disk, spec)
    if spec.firewall_backend == "nftables":
        ports = ", ".join(map(str, (SSH_PORT, *spec.ports)))
        disk.write("/etc/nftables.conf", _NFTABLES.replace("PORTS", ports), mode=0o755)
        _enable(disk, "nftables.service", "sysinit.target")


def _write_login(disk: Disk, spec: NodeSpec, authorised_key: str) -> None:
    if not spec.forwarding:
        disk.write("/etc/ssh/sshd_config.d/forwarding.conf", "AllowTcpForwarding no\n")
    if spec.user == "root":
        disk.write("/root/.ssh/authorized_keys", authorised_key, mode=0o600)
        disk.own("/root/.ssh", uid=0, mode=0o700)
        return
    user, home = spec.user, f"/home/{spec.user}"
    disk.write("/etc/ssh/sshd_config.d/root.conf", "PermitRootLogin no\n")
    for path, line in (
        ("/etc/passwd", f"{user}:x:{_USER_ID}:{_USER_ID}::{home}:/bin/bash\n"),
        ("/etc/group", f"{user}:x:{_USER_ID}:\n"),
        ("/etc/shadow", f"{user}:*:20000:0:99999:7:::\n"),
    ):
        disk.write(path, disk.read(path) + line, like=path)
    disk.write(f"/etc/sudoers.d/{user}", f"{user} ALL=(ALL:ALL) NOPASSWD: ALL\n", mode=0o440)
    disk.write(f"{home}/.ssh/authorized_keys", authorised_key, mode=0o600)
    for path, mode in ((home, 0o755), (f"{home}/.ssh", 0o700)):
        disk.own(path, uid=_USER_ID, mode=mode)
    disk.own(f"{home}/.ssh/authorized_keys", uid=_USER_ID, mode=0o600)


def _write_server(disk: Disk, spec: NodeSpec) -> None:
    stock = spec.stock_config_path
    config = disk.read(stock)
    if not spec.stock_config:
        config = redisconf.opened(config, wildcard="*" if spec.image != "bullseye" else "0.0.0.0")
    if spec.password is not None:
        config = redisconf.with_password(config, spec.password)
    path = spec.config_path or stock
    disk.write(path, config, like=stock)
    if path != stock:
        disk.remove(stock)
        disk.write(f"{_UNITS}/{spec.unit}.d/config-path.conf", _drop_in(disk, spec, path))
    _enable(disk, spec.unit, "multi-user.target")
    disk.link(f"{_UNITS}/{spec.service}.service", f"/lib/systemd/system/{spec.unit}")


def _write_sentinel(disk: Disk, spec: NodeSpec) -> None:
    path = spec.sentinel_config_path
    config = redisconf.opened(disk.read(path), wildcard="*")
    disk.write(path, redisconf.without_monitors(config), like=path)
    _enable(disk, spec.sentinel_unit, "multi-user.target")


def _drop_in(disk: Disk, spec: NodeSpec, path: str) -> str:
    """Start the server with another file, all else in its ExecStart kept."""
    unit = disk.read(f"/usr/lib/systemd/system/{spec.unit}")
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    return f"[Service]\nExecStart=\n{start.replace(spec.stock_config_path, path)}\n"


def _enable(disk: Disk, unit: str, target: str) -> None:
    disk.link(f"{_UNITS}/{target}.wants/{unit}", f"/lib/systemd/system/{unit}")
