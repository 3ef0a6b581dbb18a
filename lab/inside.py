"""Enter a node through its namespaces, which works when its network does not."""

from lab.commands import LabError
from lab.processes import init_of
from lab.state import NodeFiles

_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
)


def enter(node: NodeFiles, argv: list[str]) -> list[str]:
    """The argument list that runs ``argv`` as root in a running node."""
    container = node.process("container")
    if container is None:
        raise LabError(f"{node.root.name} does not run; start it first")
    namespaces = ["-m", "-u", "-i", "-n", "-p"]
    into = ["nsenter", "-t", str(init_of(container)), *namespaces, "--", "env", "-i"]
    return [*into, *_ENVIRONMENT, *argv]
