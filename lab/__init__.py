"""A lab of real hosts on one Linux machine: systemd, sshd, a firewall and Redis in each node."""

from lab.commands import LabError
from lab.laboratory import Lab
from lab.spec import LabNode, NodeSpec

__all__ = ["Lab", "LabError", "LabNode", "NodeSpec"]
