"""The nodes of a measurement: made fresh before each, and left alone until the machine is quiet."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.usage import busy_share, machine_ticks
from lab import Lab, LabNode, NodeSpec

QUIET_SHARE = 0.1
_LOOK_SECONDS = 0.5
_QUIET_SECONDS = 20.0


@contextmanager
def fresh_nodes(lab: Lab, count: int) -> Iterator[Sequence[LabNode]]:
    """Boot nodes that nobody has touched; they go when the block ends."""
    lab.down()
    try:
        yield lab.up([NodeSpec(name=f"bench-{number:03}") for number in range(1, count + 1)])
    finally:
        lab.down()


def wait_until_quiet() -> float:
    """Wait until the machine has little else to do, and return the share that was busy last.

    Nodes that have just booted still work a little, and other people's programs may run: after
    twenty seconds the measurement goes on, and says how busy it was.
    """
    deadline = time.monotonic() + _QUIET_SECONDS
    while True:
        before = machine_ticks()
        time.sleep(_LOOK_SECONDS)
        busy = busy_share(before, machine_ticks())
        if busy < QUIET_SHARE or time.monotonic() > deadline:
            return busy
