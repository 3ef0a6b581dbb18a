"""A bridge for a lab and a cable for each node."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from lab.commands import LabError, run


@dataclass(frozen=True)
class LabNetwork:
    """The network 10.77.N.0/24 of a lab; N is ``subnet``."""

    subnet: int

    @property
    def bridge(self) -> str:
        return f"redoubt{self.subnet}"

    @property
    def gateway(self) -> str:
        return f"10.77.{self.subnet}.254"

    def address(self, index: int) -> str:
        return f"10.77.{self.subnet}.{index}"

    def cable(self, index: int) -> str:
        """The host's end of a node's cable; an interface name has 15 characters at most."""
        return f"rdt{self.subnet}-{index}"

    def _hardware(self, index: int) -> str:
        return f"52:54:00:4d:{self.subnet:02x}:{index:02x}"

    def raise_bridge(self) -> None:
        if not _exists(self.bridge):
            # Left alone, a bridge takes the address of one of its cables, and so changes it.
            _ip(f"link add {self.bridge} address {self._hardware(254)} type bridge")
        _ip(f"addr replace {self.gateway}/24 dev {self.bridge}", f"link set {self.bridge} up")

    def remove_bridge(self) -> None:
        if _exists(self.bridge):
            _ip(f"link del {self.bridge}")

    def plug(self, index: int, pid: int, *, connected: bool) -> None:
        """Lay a cable into the network namespace of a process and give it the node's address."""
        cable = self.cable(index)
        # The kernel takes the cable of a node that rebooted away in its own time.
        with contextlib.suppress(LabError):
            run(["ip", "link", "del", cable])
        # A rebooted host has its old network card, so that nobody's ARP cache is wrong.
        peer = f"name eth0 address {self._hardware(index)} netns {pid}"
        _ip(
            f"link add {cable} type veth peer {peer}",
            f"link set {cable} master {self.bridge} {'up' if connected else 'down'}",
        )
        _ip(
            "link set lo up",
            f"addr add {self.address(index)}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {self.gateway}",
            within=pid,
        )

    def connect(self, index: int, *, connected: bool) -> None:
        _ip(f"link set {self.cable(index)} {'up' if connected else 'down'}")


def _exists(interface: str) -> bool:
    return Path(f"/sys/class/net/{interface}").exists()


def _ip(*lines: str, within: int | None = None) -> None:
    """Give ``ip`` a batch of commands, in this network namespace or in that of a process."""
    enter = [] if within is None else ["nsenter", "-t", str(within), "-n"]
    run([*enter, "ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
