"""The host keys that a group's machines showed, to be compared together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from instances.models import Machine, Node
from instances.remote.host_key import fingerprint
from panel.pages.node import POLLING, STOP_POLLING
from panel.pages.state import Shown, node_shown

PATIENCE = timedelta(minutes=5)
"""How long the page waits for looks that were asked for."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A machine's key that nobody has compared; ``names`` are the nodes on it."""

    machine: Machine
    names: Sequence[str]
    fingerprint: str

    @property
    def value(self) -> str:
        """Return what a form sends: the machine and the key that was seen."""
        return f"{self.machine.pk} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class HostKeysPage:
    """How far a group's machines are known.

    Args:
        confirmed: How many machines' keys are pinned.
        waiting: How many nodes have not been looked at yet.
        failed: The nodes whose machine showed no key, or not the expected one.
        pending: Whether looks are on their way: the page asks again by itself.
    """

    to_confirm: Sequence[ShownKey]
    confirmed: int
    waiting: int
    failed: Sequence[tuple[Node, Shown]]
    pending: bool

    @property
    def poll_status(self) -> int:
        """Return the status that lets htmx go on, or stops it."""
        return POLLING if self.pending else STOP_POLLING


def host_keys_page(nodes: Iterable[Node], *, asked: datetime | None, now: datetime) -> HostKeysPage:
    """Collect the page.

    Args:
        nodes: Of the group, with their machines.
        asked: When the viewer asked for looks; None if not.
        now: The present time.
    """
    shown: dict[int, tuple[Machine, list[str]]] = {}
    confirmed: set[int] = set()
    waiting, failed = 0, []
    for node in nodes:
        machine = node.machine
        if machine.host_key and machine.host_key_confirmed_at:
            confirmed.add(machine.pk)
        elif machine.host_key:
            shown.setdefault(machine.pk, (machine, []))[1].append(node.name)
        elif node.looked_at is None or (asked and node.looked_at < asked):
            waiting += 1
        elif node.fault:
            failed.append((node, node_shown(node)))
    return HostKeysPage(
        to_confirm=[
            ShownKey(machine, names, fingerprint(machine.host_key))
            for machine, names in shown.values()
        ],
        confirmed=len(confirmed),
        waiting=waiting,
        failed=failed,
        pending=bool(waiting and asked and now - asked < PATIENCE),
    )
