"""Labs for tests: fresh at the beginning, gone at the end, booted as far as they are needed."""

import contextlib
import os
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from lab import Lab, LabNode, NodeSpec

L = TypeVar("L", bound=Lab)


@contextlib.contextmanager
def fresh(lab: L) -> Iterator[L]:
    """Give a lab without nodes, whatever a killed predecessor left; take it down afterwards."""
    lab.down()
    try:
        yield lab
    finally:
        lab.down()


def name_of_lab(name: str) -> str:
    """Return a name that no other worker of this test run uses.

    With REDOUBT_LAB_NAME set, several test runs can go side by side on one machine.
    """
    run = os.environ.get("REDOUBT_LAB_NAME", "test")
    return f"{run}-{name}{os.environ.get('PYTEST_XDIST_WORKER', '')}"


class Hosts(dict[str, LabNode]):
    """The nodes that are up, by name; to ask for another one boots it.

    Args:
        specs: What nodes there may be, by name.
    """

    def __init__(self, lab: Lab, specs: Mapping[str, NodeSpec]) -> None:
        super().__init__()
        self._lab, self._specs = lab, specs
        self._booting: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def __missing__(self, name: str) -> LabNode:
        with self._booting[name]:
            if name not in self:
                self[name] = self._lab.up([self._specs[name]])[0]
        return self[name]


class LabOnDemand(Lab):
    """A lab whose nodes boot when a test first has to do with them."""

    def __init__(self, name: str, specs: Mapping[str, NodeSpec]) -> None:
        super().__init__(name)
        self.hosts = Hosts(self, specs)

    def exec(
        self,
        name: str,
        argv: Sequence[str],
        input: bytes | None = None,  # noqa: A002 - as subprocess.run names it
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        self.hosts[name]
        return super().exec(name, argv, input, timeout)
