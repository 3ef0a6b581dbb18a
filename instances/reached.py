"""How far the panel knows a node, as conditions to narrow lists by.

`panel.pages.state.node_shown` says the same of one node, in words; a test holds the two together.
"""

from django.db.models import Q, TextChoices

NO_ANSWER = frozenset(
    {"Unreachable", "ConnectionRefused", "ConnectTimeout", "NoRoute", "ConnectionLost"}
)
"""Reasons of a fault that tell of the way to a node, and nothing of the node."""
UNCONFIRMED = Q(host_key_confirmed_at=None) & ~Q(host_key="")
"""The condition of machines that showed a host key which nobody has compared."""
HOST_KEY_UNCONFIRMED = Q(machine__host_key_confirmed_at=None) & ~Q(machine__host_key="")


class Reached(TextChoices):
    """The states; each node is in one of them."""

    REACHABLE = "reachable", "Reachable"
    NO_ANSWER = "no-answer", "No answer"
    FAULTY = "faulty", "Needs a look"
    HOST_KEY = "host-key", "Host key to confirm"
    NOT_SEEN = "not-seen", "Not seen yet"


def reached(state: str) -> Q:
    """Return the condition of the nodes in a state."""
    if state == Reached.HOST_KEY:
        return HOST_KEY_UNCONFIRMED
    silent = Q(fault_reason__in=NO_ANSWER)
    known = {
        Reached.NO_ANSWER: silent,
        Reached.FAULTY: Q(fault_reason__isnull=False) & ~silent,
        Reached.NOT_SEEN: Q(fault_reason=None, facts_at=None),
        Reached.REACHABLE: Q(fault_reason=None, facts_at__isnull=False),
    }
    return known[Reached(state)] & ~HOST_KEY_UNCONFIRMED
