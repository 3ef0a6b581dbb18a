"""The links between a cluster's nodes: made anew, so that each is as the nodes are set now.

A link stays as it was made, in plaintext or over TLS, until it is made anew (REDIS_FACTS 5). A
server closes one whose queue is longer than cluster-link-sendbuf-limit at its next tick, ten times
a second, and makes it anew (redis 7.2 src/cluster.c, freeClusterLinkOnBufferLimitReached): with a
limit of one byte these are all of its links. Clients do not notice.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from addons.engine.step import StepFailed
from addons.session import NodeSession
from instances.nodeconf.topology.cluster import cluster_seen
from instances.nodeconf.topology.seen import Down
from instances.reason import Reason
from instances.remote.errors import RemoteError, ServerRefused

_POLL_SECONDS = 0.03
_TICKS_SECONDS = 5.0
_SPARE_SECONDS = 5.0
LIMIT, _ANNOUNCED = "cluster-link-sendbuf-limit", "cluster-announce-bus-port"
_NOWHERE = "1"
"""A port on which no bus is."""


@dataclass(frozen=True, slots=True)
class BusLink:
    """A link, as one of its two ends tells.

    Args:
        inbound: Whether the other end has made it.
        made: When, in milliseconds of the server's clock.
    """

    inbound: bool
    made: int


def renew_links(node: NodeSession, limit: str) -> str:
    """Have all links to and from the node made anew, and its replicas follow it where it now is.

    Peers that hear of another bus port make their link to the node anew, and replicas follow it on
    the port that it has by now, by a partial resync; one whose address is the same is left alone.
    So it announces a port where nobody is, for a moment, and then the right one again. Meanwhile it
    reaches its peers, and so they take it for alive.

    Args:
        node: The node.
        limit: What cluster-link-sendbuf-limit is to be afterwards.

    Raises:
        StepFailed: They are not all made anew.
    """
    began = time.monotonic()
    port = node.runtime.config.get(_ANNOUNCED, "0")
    try:
        _drop(node, _NOWHERE, limit)
        _wait(lambda: not any(link.inbound for link in _links(node)), _TICKS_SECONDS)
        since = _drop(node, port, limit)
    except BaseException:
        with suppress(RemoteError):
            _set(node, {_ANNOUNCED: port, LIMIT: limit})
        raise
    count = wait_for_links(node, since, _TICKS_SECONDS)
    return f"{count} links of the cluster's bus were made anew in {_ms(began)} ms"


def await_links(node: NodeSession, changed: float | None, *, heard_of: bool) -> str:
    """Wait until the links have been made anew by themselves, as before 7.2.

    There a node that changes tls-cluster announces another port for clients. Whoever hears that, at
    its next ping and so within half the node timeout, makes its link to it anew. The node's own
    entry follows only where something that it announces is set to another value (REDIS_FACTS 5).

    With tls-cluster off it is enough that there are links: one that is still over TLS does no harm.
    They are given as much time all the same. Peers that have not heard of the plain port when TLS
    is wanted again would hear of nothing new then, and keep their links.

    Args:
        node: The node.
        changed: When this process changed tls-cluster (time.monotonic); None where it did not: then
            another one has, or nobody.
        heard_of: Whether the change has the node announce another port.

    Raises:
        StepFailed: They are not.
    """
    began = time.monotonic()
    config = node.runtime.config
    own = config.get("tls-port", "0")
    for value in (own if own != "0" else _NOWHERE, "0"):
        _set(node, {"cluster-announce-tls-port": value})
    seconds = int(config.get("cluster-node-timeout") or 15000) / 2000
    since = 0 if changed is None else _now(node) - _ms(changed)
    if changed is None:
        time.sleep(seconds + 1)
    if config.get("tls-cluster") != "yes":
        if heard_of:
            with suppress(StepFailed):
                wait_for_links(node, since, seconds + _SPARE_SECONDS)
        count = wait_for_links(node, 0, seconds + _SPARE_SECONDS)
        return f"{count} links of the cluster's bus are there"
    count = wait_for_links(node, since, seconds + _SPARE_SECONDS)
    return f"{count} links of the cluster's bus were made anew within {_ms(began)} ms"


def wait_for_links(node: NodeSession, since: int, seconds: float) -> int:
    """Wait until there is a link each way to every member, none older; return how many.

    Args:
        node: The node.
        since: Milliseconds of the server's clock.
        seconds: How long to wait.

    Raises:
        StepFailed: There is not.
    """
    wanted = 2 * _others(node)

    def complete() -> bool:
        links = _links(node)
        return len(links) >= wanted and all(link.made >= since for link in links)

    if not _wait(complete, seconds):
        raise StepFailed(
            Reason(
                "BusLinksMissing",
                f"{node.name}: its links to the cluster's other nodes are not all made anew.",
                "CLUSTER NODES there says which are missing; is the bus port open between all?",
            )
        )
    return wanted


def _drop(node: NodeSession, announced: str, limit: str) -> int:
    """Announce a bus port and drop all links; return since when there are only new ones."""
    since = _now(node)
    _set(node, {_ANNOUNCED: announced, LIMIT: "1"})
    _wait(lambda: all(link.made >= since for link in _links(node)), _TICKS_SECONDS)
    _set(node, {LIMIT: limit})
    return since


def _links(node: NodeSession) -> list[BusLink]:
    told: Sequence[Sequence[Any]] = node.redis().execute("CLUSTER", "LINKS")
    rows = (dict(zip(row[::2], row[1::2], strict=True)) for row in told)
    return [BusLink(row["direction"] == "from", int(row["create-time"])) for row in rows]


def _others(node: NodeSession) -> int:
    """Return how many other members are not known to be down."""
    nodes, info = node.redis().pipeline([("CLUSTER", "NODES"), ("CLUSTER", "INFO")])
    seen = cluster_seen(str(nodes), str(info))
    return sum(each.id != seen.me and each.down is Down.NO for each in seen.nodes) if seen else 0


def _now(node: NodeSession) -> int:
    seconds, micros = node.redis().execute("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def _set(node: NodeSession, values: dict[str, str]) -> None:
    words = (word for pair in values.items() for word in pair)
    answer = node.redis().pipeline([("CONFIG", "SET", *words)])[0]
    if isinstance(answer, ServerRefused):
        raise answer


def _wait(met: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (there := met()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return there


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
