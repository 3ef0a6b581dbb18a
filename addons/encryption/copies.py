"""What a restart would cost the copies of a server's data. Pure."""

from collections.abc import Iterator, Mapping

from addons.encryption.links import is_replica
from addons.encryption.steps.runtime import LIVE_TLS
from addons.session import NodeSession
from instances.reason import Reason

_AWAY_SECONDS = 2
"""How long a server is away at most that loads its data quickly."""


def is_linked(node: NodeSession) -> bool:
    """Say whether the server is a replica whose link is up."""
    return is_replica(node) and node.runtime.info.get("master_link_status") == "up"


def copy_obstacles(node: NodeSession) -> Iterator[Reason]:
    """Yield why a restart would leave the data with too few servers, or copy all of it anew."""
    info = node.runtime.info
    if is_replica(node) and not is_linked(node):
        yield Reason(
            "LinkDown",
            f"{node.name}: it has to restart, and its link to its primary "
            f"{info.get('master_host', '')} is down.",
            "Bring the link up first; the logs of both servers say why it is down.",
        )
    # Before 6.2 a primary restarts too, and its backlog goes with it.
    if node.server.product != "valkey" and node.server.version < LIVE_TLS:
        return
    if info.get("connected_slaves", "0") != "0":
        yield from short_backlog(node, info)


def short_backlog(node: NodeSession, primary: Mapping[str, str]) -> Iterator[Reason]:
    """Yield that a server's backlog would not last while another one restarts.

    Args:
        node: The primary then.
        primary: INFO of who is it now, which tells how much is written.
    """
    backlog = int(node.runtime.info.get("repl_backlog_size", "0"))
    written = float(primary.get("instantaneous_input_kbps", "0")) * 1024 * _AWAY_SECONDS
    if written > backlog:
        wanted = 2 ** (int(2 * written) - 1).bit_length()
        yield Reason(
            "BacklogTooSmall",
            f"{node.name}: while a server restarts, about {int(written) // 1024} KiB are written, "
            f"and repl-backlog-size is {backlog // 1024} KiB: all data would be copied anew.",
            f"CONFIG SET repl-backlog-size {wanted} first, or wait until less is written.",
        )
