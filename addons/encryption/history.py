"""What the add-on has changed on a node before, as far as plans need to know. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from addons.encryption.binding import loopback_only
from addons.engine.step import State
from addons.session import NodeSession

_OFF = {"tls-port": "0"}
LAYERS = {"runtime": "values", "restart": "running"}
"""The steps that record what the server ran with, and under which name."""


@dataclass(frozen=True, slots=True)
class History:
    """What was there before the add-on, and what became of it.

    Args:
        plain_port: The port for plaintext, open or closed since; 0 where there was none.
        closed: Whether the add-on has closed it.
        exposed: Whether the add-on lets other machines reach it: it was bound to loopback.
        link_moved: Whether the add-on has set tls-replication.
        bus_moved: Whether the add-on has set tls-cluster.
        ciphers: Of TLS 1.2, as they were set; None where the add-on has not changed them.
    """

    plain_port: int
    closed: bool = False
    exposed: bool = False
    ciphers: str | None = None
    link_moved: bool = False
    bus_moved: bool = False


def history_of(session: NodeSession) -> History:
    """Read it from the way back that runs recorded, this one's earlier attempts among them."""
    recorded = list(_recorded(session))
    ports = [int(values["port"]) for values in recorded if values.get("port", "0") != "0"]
    now = int(session.runtime.config.get("port") or 0) or session.server.port
    bound = [values["bind"].split() for values in recorded if values.get("bind")]
    ciphers = [values["tls-ciphers"] for values in recorded if "tls-ciphers" in values]
    return History(
        plain_port=ports[0] if ports else now,
        closed=bool(ports),
        exposed=closed_outside(session) or any(map(loopback_only, bound)),
        ciphers=ciphers[0] if ciphers else None,
        link_moved=any("tls-replication" in values for values in recorded),
        bus_moved=any("tls-cluster" in values for values in recorded),
    )


def _recorded(session: NodeSession) -> Iterator[Mapping[str, Any]]:
    """Yield what the server ran with before, the earliest first."""
    for states in (session.brief.baseline, session.brief.begun):
        for step, field in LAYERS.items():
            if step in states:
                yield states[step][field]


def closed_outside(session: NodeSession) -> bool:
    """Say whether a rule of the add-on closes the plain port to other machines."""
    states = (session.brief.baseline.get("firewall"), session.brief.begun.get("firewall"))
    return any(rule["action"] == "drop" for state in states if state for rule in state["wanted"])


def merge_values(step: str, earlier: Mapping[str, State], later: State) -> State:
    """Add what a later run changed first; what an earlier one has recorded counts, live or not.

    Args:
        step: One of LAYERS.
        earlier: What was folded of the runs before, by step.
    """
    field, first = LAYERS[step], earlier.get(step, later)
    known = [
        earlier[other][name] for other, name in LAYERS.items() if other != step and other in earlier
    ]
    new = {
        name: value
        for name, value in later[field].items()
        if not any(name in values for values in known)
    }
    return {**first, field: {**new, **(first[field] if step in earlier else {})}}


def former_values(baseline: Mapping[str, State]) -> dict[str, str]:
    """Return what the server ran with before the add-on, in the order in which to set it.

    A server that forbade CONFIG told of its ports alone, which was before TLS. tls-port comes last.
    """
    layers = [dict(baseline[step][field]) for step, field in LAYERS.items() if step in baseline]
    layers = [dict(_OFF) if "listening" in layer else layer for layer in layers]
    layers.sort(key=lambda layer: layer.get("tls-port", "0") != "0")
    former: dict[str, str] = {}
    for layer in layers:
        former = {**layer, **former}
    port = former.pop("tls-port", "0")
    return {**former, "tls-port": port}
