"""Whether what servers say to each other is encrypted, as far as that can be known."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from instances.nodeconf.topology.seen import Seen


class Wire(StrEnum):
    """What is spoken on a link."""

    TLS = "TLS"
    PLAIN = "plaintext"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Encrypted:
    """Whether a link is encrypted, and what tells, or what is missing to tell."""

    wire: Wire
    why: str


def link_encrypted(replica: Seen, primary: Seen | None) -> Encrypted:
    """Say whether a replica's link is encrypted, from its own setting and its primary's port.

    ``tls-replication`` counts when a link is made, so alone it says nothing of one that is there
    (redis 7.0.15 src/replication.c, connectWithMaster); a port speaks either TLS or plaintext.
    """
    if replica.following is None or not replica.following.up:
        return Encrypted(Wire.UNKNOWN, "The link is down.")
    port = replica.following.primary.port
    if primary is None:
        return Encrypted(Wire.UNKNOWN, "Its primary is not managed here, or did not answer.")
    if replica.replicates_over_tls is None or primary.port is None:
        return Encrypted(Wire.UNKNOWN, "The server does not tell its settings.")
    if replica.replicates_over_tls and port == primary.tls_port:
        return Encrypted(Wire.TLS, f"tls-replication is on, and {port} is its primary's TLS port.")
    if not replica.replicates_over_tls and port == primary.port:
        return Encrypted(
            Wire.PLAIN, f"tls-replication is off, and {port} is its primary's plain port."
        )
    return Encrypted(Wire.UNKNOWN, "The setting and the port contradict each other.")


def watch_encrypted(sentinel: Seen, port: int, primary: Seen | None) -> Encrypted:
    """Say whether a Sentinel's connection to its primary is encrypted.

    A Sentinel has ``tls-replication`` from its start on (redis 7.0.15 src/sentinel.c,
    instanceLinkNegotiateTLS), for its fellows as well.

    Args:
        sentinel: What it said.
        port: Of the primary, as it has it.
        primary: What that one said; None where nobody asked it.
    """
    if primary is None or primary.port is None:
        return Encrypted(Wire.UNKNOWN, "The primary's ports are not known.")
    if sentinel.replicates_over_tls and port == primary.tls_port:
        return Encrypted(Wire.TLS, f"tls-replication is on, and {port} is the primary's TLS port.")
    if not sentinel.replicates_over_tls and port == primary.port:
        return Encrypted(
            Wire.PLAIN, f"tls-replication is off, and {port} is the primary's plain port."
        )
    return Encrypted(Wire.UNKNOWN, "The Sentinel's setting and the primary's port do not agree.")


def bus_encrypted(told: Sequence[Seen | None], *, whole: bool, renewed: bool = False) -> Encrypted:
    """Say whether a cluster's bus is encrypted.

    ``tls-cluster`` counts when a link is made, and a change leaves those that are there as they are
    (REDIS_FACTS 5). All links of a process that was started with it are encrypted; so one node may
    be older, whose links all lead to such a one.

    Args:
        told: What each managed node said.
        whole: Whether they are all nodes of the cluster.
        renewed: Whether the links are known to be made anew since the setting.
    """
    settings = {each.bus_over_tls if each else None for each in told}
    if None in settings or not whole:
        return Encrypted(Wire.UNKNOWN, "Not every node of the cluster tells its setting.")
    if settings == {False}:
        return Encrypted(Wire.PLAIN, "tls-cluster is off on every node.")
    if settings != {True}:
        return Encrypted(Wire.UNKNOWN, "tls-cluster is on for some nodes and off for others.")
    if renewed:
        why = "tls-cluster is on everywhere, and the run that set it saw every link made anew."
        return Encrypted(Wire.TLS, why)
    older = sum(1 for each in told if each and not each.bus_born_over_tls)
    if older <= 1:
        return Encrypted(
            Wire.TLS, "tls-cluster is on everywhere since before these links were made."
        )
    why = "tls-cluster is on everywhere, but links made before that may still be in plaintext."
    return Encrypted(Wire.UNKNOWN, f"{why} {older} nodes have not been seen to start with it.")
