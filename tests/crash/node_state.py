"""What a node looks like to somebody logged in there, without the product's own code."""

import socket
import ssl
from dataclasses import dataclass

from lab import Lab

_LOOK = r"""
sha256sum /etc/redis/redis.conf
stat -c '%U %G %a' /etc/redis/redis.conf
places='/etc/redis /var/lib/redoubt /run/redoubt* /etc/systemd/system'
find $places -printf '%p %M %u %g %l\n' 2>/dev/null | sort
if command -v iptables-save >/dev/null && ! systemctl is-active -q nftables; then
  iptables-save | grep -v '^#' | sed 's/\[[0-9:]*\]//'; cat /etc/iptables/rules.v4
else
  nft list ruleset; cat /etc/nftables.conf
fi
"""


@dataclass(frozen=True)
class NodeState:
    """Files, rules and whether the server answers in plaintext on the node itself."""

    looks: str
    serves: bool

    def lines_unlike(self, other: "NodeState") -> str:
        mine, theirs = set(self.looks.splitlines()), set(other.looks.splitlines())
        return "\n".join(sorted(mine ^ theirs))


def read_state(lab: Lab, name: str) -> NodeState:
    looked = lab.exec(name, ["bash", "-c", _LOOK])
    pong = lab.exec(name, ["redis-cli", "-p", "6379", "ping"])
    return NodeState(looked.stdout.decode(), pong.stdout.strip() == b"PONG")


def tls_ping(address: str, authority: str, port: int = 6380) -> bytes:
    """PING from outside, verifying chain and address."""
    context = ssl.create_default_context(cadata=authority)
    with (
        socket.create_connection((address, port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=address) as tls,
    ):
        tls.sendall(b"PING\r\n")
        return tls.recv(64)


def closed(address: str, port: int = 6380) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return True
    return False
