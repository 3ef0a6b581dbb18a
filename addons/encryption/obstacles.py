"""What stands in the way of an install, and what a person should know before it. They only look."""

from collections.abc import Iterator
from datetime import datetime

from addons.encryption.cluster import in_cluster, tells_links
from addons.encryption.copies import copy_obstacles
from addons.encryption.history import History
from addons.encryption.links import is_replica, plain_links
from addons.encryption.persistence import empty_afterwards, loses
from addons.encryption.plaintext import plain_sample, watches
from addons.encryption.spec import EncryptionSpec
from addons.encryption.wanted import (
    Wanted,
    can_apply_live,
    denied_by_protected_mode,
    needs_password,
)
from addons.session import NodeSession
from instances.looks import CLOCK_TOLERANCE_SECONDS
from instances.nodeconf.client_list import Kind
from instances.nodeconf.redis_conf import without_effect
from instances.reason import Reason

DISK_NEEDED_BYTES = 16 * 1024 * 1024
TIGHT_INODES = 64
_SHOWN_PEERS = 5


def node_obstacles(node: NodeSession, now: datetime) -> Iterator[Reason]:
    """Yield what makes any change on this node unwise: disk, clock, health."""
    for path, free in node.facts.disk_free.items():
        if free.bytes < DISK_NEEDED_BYTES or (free.inodes or TIGHT_INODES) < TIGHT_INODES:
            yield Reason(
                "DiskFull",
                f"{node.name}: only {free.bytes // 1024} KiB are free under {path}.",
                "Free some space there first.",
            )
    # The look took a moment, so a difference of seconds is the network's, not the clock's.
    off = node.facts.clock - now.timestamp()
    if abs(off) > CLOCK_TOLERANCE_SECONDS:
        yield Reason(
            "ClockOff",
            f"{node.name}: its clock is {abs(off) / 60:.0f} minutes "
            f"{'ahead' if off > 0 else 'behind'}; certificates would look wrong to it.",
            "Set its clock, for example with timedatectl set-ntp true.",
        )
    if node.runtime.info.get("loading") == "1":
        yield Reason(
            "Loading",
            f"{node.name}: the server is still loading its data.",
            "Wait until it has, and try again.",
        )
    refused = node.runtime.config_refused
    if refused is not None and refused.code == "TlsOnly":
        yield refused


def install_obstacles(
    node: NodeSession, spec: EncryptionSpec, wanted: Wanted, history: History, *, ours: bool
) -> Iterator[Reason]:
    """Yield what makes this install impossible.

    Args:
        history: What the add-on has changed there before.
        ours: Whether the add-on is on the node already, so that its TLS port is our own.
    """
    yield from node_obstacles(node, node.now())
    server = node.server
    if not wanted.live:
        yield from _no_unit(node, spec)
        yield from _forgets_primary(node)
        yield from empty_afterwards(node)
        yield from copy_obstacles(node)
    if server.tls_supported is False:
        yield Reason(
            "NoTls",
            f"{node.name}: this {server.product} {server.version_text} is built without TLS "
            f"({server.tls_reason}).",
            "Install a build with TLS, such as the distribution's.",
        )
    yield from _taken(node, spec, history, ours=ours)
    yield from plain_links(node, spec, history)
    yield from _shadowed(node, wanted)
    if not server.config.directory_writable:
        yield Reason(
            "ConfigReadOnly",
            f"{node.name}: no file can be written beside {server.config.path}.",
            "Make the file system writable.",
        )
    if spec.bind == "node" and wanted.loopback_only:
        yield Reason(
            "NoAddress",
            f"{node.name}: none of the addresses that clients use is one of its own.",
            "Give the node a client address that `ip addr` shows on it.",
        )
    if not wanted.loopback_only and denied_by_protected_mode(spec, server, node.runtime):
        yield Reason(
            "ProtectedMode",
            f"{node.name}: protected mode answers -DENIED to other machines, over TLS too.",
            "Set a password on the server, or choose protected_mode=no.",
        )


def _taken(
    node: NodeSession, spec: EncryptionSpec, history: History, *, ours: bool
) -> Iterator[Reason]:
    server = node.server
    running = int(node.runtime.config.get("tls-port") or 0) or server.tls_port
    if running and not ours:
        yield Reason(
            "AlreadyTls",
            f"{node.name}: the server speaks TLS on {running} already, not set up by Redoubt.",
            "Choose adopt=yes to take it into view as it is; it is never overwritten.",
        )
        return
    if node.brief.beside:
        yield Reason(
            "TlsPortShared",
            f"{node.name} is on one machine with {' and '.join(node.brief.beside)} of the same "
            f"group, and they cannot both have port {spec.tls_port}.",
            "Put them into different groups, and install on each with a tls_port of its own.",
        )
        return
    if spec.tls_port == history.plain_port and not spec.tls_only:
        yield Reason(
            "SamePort",
            f"{node.name}: {spec.tls_port} is its plain port, and both cannot have one number.",
            "Choose another tls_port, or plaintext=off: then TLS takes the number over.",
        )
        return
    # The server itself may have the new port for something else, such as its cluster's bus.
    gives = {running if ours else 0, history.plain_port if spec.tls_only else 0}
    own = server.pid if spec.tls_port in gives else None
    listener = node.facts.listener(spec.tls_port, but=own)
    if listener is not None:
        yield Reason(
            "PortTaken",
            f"{node.name}: port {spec.tls_port} is in use by {listener.process or 'a process'}.",
            "Choose another tls_port.",
        )


def uninstall_obstacles(
    node: NodeSession, spec: EncryptionSpec, plain_port: int
) -> Iterator[Reason]:
    """Yield what makes this uninstall impossible.

    Args:
        plain_port: The port for plaintext afterwards; 0 for none.
    """
    yield from node_obstacles(node, node.now())
    if spec.apply != "live" or not can_apply_live(node.server, node.runtime):
        yield from _no_unit(node, spec)
        yield from empty_afterwards(node)
        yield from copy_obstacles(node)
    if plain_port == 0:
        yield Reason(
            "NoPlainPort",
            f"{node.name}: the server has no plain port, so without TLS nobody could reach it.",
            "Give it a plain port first, by CONFIG SET port and in its file.",
        )


def _no_unit(node: NodeSession, spec: EncryptionSpec) -> Iterator[Reason]:
    """Yield an obstacle where a restart is needed and nothing can do it."""
    live = can_apply_live(node.server, node.runtime)
    if spec.apply == "restart" and live:
        yield from no_unit(node, "a restart was asked for", "Choose apply=live.")
    else:
        yield from no_unit(node, _why_restart(node))


def no_unit(
    node: NodeSession, why: str, next_step: str = "Let a systemd unit start it."
) -> Iterator[Reason]:
    """Yield an obstacle where no unit starts the server; ``why`` is it to be restarted."""
    if not node.server.unit:
        yield Reason(
            "NoUnit",
            f"{node.name}: {why}, and no systemd unit starts this server, so Redoubt cannot "
            "restart it.",
            next_step,
        )


def _forgets_primary(node: NodeSession) -> Iterator[Reason]:
    """Yield an obstacle where a restart would turn a replica into a primary without data.

    A cluster's nodes keep their roles in a file of their own.
    """
    if is_replica(node) and node.server.primary is None and not in_cluster(node.runtime):
        host = node.runtime.info.get("master_host", "")
        yield Reason(
            "ForgetsPrimary",
            f"{node.name}: it follows {host} without a replicaof line in its file, so after a "
            "restart it would follow nobody.",
            "Write replicaof into its file first.",
        )


def _shadowed(node: NodeSession, wanted: Wanted) -> Iterator[Reason]:
    server = node.server
    for name, source in without_effect(server.tree, wanted.lines).items():
        yield Reason(
            "Overridden",
            f"{node.name}: {name} is set by {source} too, which wins over {server.config.path}.",
            "Remove it there first.",
        )


def install_warnings(
    node: NodeSession, spec: EncryptionSpec, wanted: Wanted, history: History
) -> Iterator[Reason]:
    """Yield what a person should know before confirming."""
    server = node.server
    if spec.tls_only and node.runtime.config.get("port") == str(history.plain_port):
        yield from _closing(node, spec, history.plain_port)
    if wanted.loopback_only:
        yield Reason(
            "LoopbackOnly",
            f"{node.name} listens on loopback only, so other machines cannot use TLS either.",
            "Choose bind=node to add its address.",
        )
    if not wanted.live:
        yield from loses(node)
    if spec.apply == "live" and not wanted.live:
        yield Reason("NeedsRestart", f"{node.name}: {_why_restart(node)}, so it restarts once.")
    if spec.bind == "node" and not wanted.loopback_only and not spec.tls_only:
        yield Reason(
            "PlainPortExposed",
            f"{node.name}: the new address is the plain port {server.port}'s too; "
            f"{_what_protects(node, wanted)}.",
        )
    if (
        not wanted.loopback_only
        and needs_password(server, node.runtime) is False
        and spec.tls_auth_clients != "required"
    ):
        yield Reason(
            "NoPassword",
            f"{node.name}: who reaches the TLS port needs neither password nor certificate.",
            "Set a password on the server, or choose tls_auth_clients=required.",
        )
    if in_cluster(node.runtime) and not tells_links(server):
        yield Reason(
            "ClusterRedirects",
            f"{node.name}: this cluster's redirections name the plain port, to TLS clients too.",
        )


def _closing(node: NodeSession, spec: EncryptionSpec, port: int) -> Iterator[Reason]:
    """Yield whom closing the plain port cuts off; those that the run moves to TLS are none."""
    moves = spec.replicates_over_tls
    there = [
        each
        for each in (plain_sample(node).connections if port else ())
        if not (moves and (each.kind is Kind.REPLICA or watches(each)))
    ]
    if there:
        peers = list(dict.fromkeys(each.peer.address for each in there))
        shown = ", ".join(peers[:_SHOWN_PEERS])
        more = f" and {len(peers) - _SHOWN_PEERS} more" if len(peers) > _SHOWN_PEERS else ""
        yield Reason(
            "PlaintextInUse",
            f"{node.name}: {len(there)} connection{'s' * (len(there) != 1)} on the plain port "
            f"{port} now, from {shown}{more}: they are ended, and cannot come back.",
            "Move these clients to TLS first.",
        )


def _what_protects(node: NodeSession, wanted: Wanted) -> str:
    if any(rule.action == "drop" for rule in wanted.rules):
        return "a rule closes it from outside"
    known = needs_password(node.server, node.runtime)
    return "its password protects it" if known else "it was open to other machines before, too"


def _why_restart(node: NodeSession) -> str:
    refused = node.runtime.config_refused
    if refused is not None:
        return f"CONFIG cannot be used ({refused.code})"
    if node.server.outdated:
        return "its program was replaced since it started"
    if can_apply_live(node.server, node.runtime):
        return "it cannot move its certificates while TLS is all it speaks"
    return f"{node.server.product} {node.server.version_text} cannot open a TLS port live"


def uninstall_warnings(
    node: NodeSession, spec: EncryptionSpec, connections: int | None
) -> Iterator[Reason]:
    """Yield what an uninstall would lose, and whom it would cut off from new connections."""
    if spec.apply != "live" or not can_apply_live(node.server, node.runtime):
        yield from loses(node)
    if connections:
        yield Reason(
            "TlsInUse",
            f"{node.name}: {connections} connection{'s' * (connections != 1)} on TLS now; "
            "open ones go on where no restart is needed, new ones are refused.",
            "Move these clients to the plain port first.",
        )
