"""What a test acts on: a panel of its own, the lab's hosts, and looks at both from outside."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from addons.models import Installation, MachineLock
from instances.models import Node
from lab import Lab, LabNode, NodeSpec
from tests.acceptance.outside import answers_over_tls, ping_plainly
from tests.acceptance.panel import Panel
from tests.acceptance.photograph import Photograph, photograph

T = TypeVar("T")

PASSWORD = 'pass "word'

SPECS = {
    spec.name: spec
    for spec in (
        NodeSpec(name="cache"),
        NodeSpec(name="legacy", image="bullseye"),
        NodeSpec(name="six-two", server="redis-6.2"),
        NodeSpec(name="trixie", image="trixie"),
        NodeSpec(name="valkey", image="trixie", server="valkey"),
        NodeSpec(name="stock", stock_config=True),
        NodeSpec(name="stock-legacy", image="bullseye", stock_config=True),
        NodeSpec(name="etcconf", config_path="/etc/redis.conf", user="deploy"),
        NodeSpec(name="withpass", password=PASSWORD),
        NodeSpec(name="notls", server="redis-without-tls"),
        NodeSpec(name="noforward", forwarding=False),
        NodeSpec(name="ufw", firewall="ufw"),
        NodeSpec(name="firewalld", firewall="firewalld"),
        NodeSpec(name="ufw-legacy", image="bullseye", firewall="ufw"),
        NodeSpec(name="firewalld-new", image="trixie", firewall="firewalld"),
        NodeSpec(name="stock-ufw", firewall="ufw", stock_config=True),
        NodeSpec(name="stock-firewalld", firewall="firewalld", stock_config=True),
    )
}


# 6.2 refuses an empty certificate path, so it stays in the running server until its next restart;
# with tls-port 0 it is not looked at.
STAYS_IN_6_2 = {"six-two": ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")}


def at_once(act: Callable[[str], T], names: Sequence[str]) -> list[T]:
    """Act on several nodes at the same time; nothing here may touch the database."""
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return list(pool.map(act, names))


@dataclass
class Stage:
    """One test's panel, and the hosts it may meet.

    Args:
        hosts: The lab's nodes by name.
        scratch: Where a client keeps its files.
    """

    lab: Lab
    hosts: dict[str, LabNode]
    scratch: Path
    panel: Panel = field(default_factory=Panel.create)

    def address(self, name: str) -> str:
        return self.hosts[name].address

    def password(self, name: str) -> str:
        return SPECS[name].password or ""

    def register(self, *names: str) -> Node:
        """Register nodes as one group, insist that nothing is wrong with them; return the last."""
        group = names[0] if len(names) == 1 else "fleet"
        at_once(self.address, names)
        for name in names:
            password = self.password(name)
            node = self.panel.register(self.hosts[name], group=group, password=password)
            assert not node.fault, f"{name}: {node.fault}"
        return node

    def photograph(self, name: str) -> Photograph:
        return photograph(self.lab, name, password=self.password(name))

    def photographs(self, *names: str) -> dict[str, Photograph]:
        return dict(zip(names, at_once(self.photograph, names), strict=True))

    def reboot(self, *names: str) -> None:
        at_once(self.lab.reboot, names)

    def trace(
        self, before: dict[str, Photograph], *, but: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, list[str]]:
        """What is not as before, by node; ``but`` are directives left out, by node."""
        after = self.photographs(*before)
        told = {
            name: taken.differences(after[name], but=(but or {}).get(name, ()))
            for name, taken in before.items()
        }
        return {name: differences for name, differences in told.items() if differences}

    @property
    def root(self) -> Path:
        """The authority's certificate, in a file."""
        return self.panel.root_certificate(self.scratch)

    def speaks_tls(self, name: str, *, port: int = 6380) -> bool:
        """Whether openssl verifies chain and address, and PING is answered with PONG."""
        password = self.password(name)
        return answers_over_tls(self.address(name), self.root, port=port, password=password)

    def ping(self, name: str) -> str:
        """What the plain port says to PING, from outside."""
        return ping_plainly(self.address(name), password=self.password(name))

    def clear(self) -> None:
        """Make nodes anew that a failed test left changed."""
        locked = set(MachineLock.objects.values_list("machine", flat=True))
        changed = set(
            Installation.objects.filter(nodes__isnull=False).values_list("group", flat=True)
        )
        for name, node in self.panel.nodes.items():
            if node.machine_id in locked or node.group_id in changed:
                self.make_anew(name)

    def make_anew(self, name: str) -> None:
        self.lab.down([name])
        del self.hosts[name]
