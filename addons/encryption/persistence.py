"""What a restart would cost a server that keeps its data in memory alone. Pure."""

from collections.abc import Iterator

from addons.encryption.links import is_replica
from addons.session import NodeSession
from instances.reason import Reason


def keys_lost(node: NodeSession) -> int:
    """Return how many keys a restart would lose: those of a primary that writes nothing down.

    A server with save points writes its data when it is stopped (redis 7.0.15 src/server.c,
    prepareForShutdown); a replica is given it again by its primary.
    """
    if is_replica(node) or writes_down(node):
        return 0
    databases = (text for name, text in node.runtime.info.items() if _is_database(name))
    return sum(int(text.partition("keys=")[2].partition(",")[0] or 0) for text in databases)


def empty_afterwards(node: NodeSession) -> Iterator[Reason]:
    """Yield an obstacle where a restart would empty the replicas, too."""
    lost = keys_lost(node)
    if lost and node.runtime.info.get("connected_slaves", "0") != "0":
        yield Reason(
            "WouldComeBackEmpty",
            f"{node.name}: it writes nothing to disk, so a restart would lose its {_keys(lost)}, "
            "and its replicas would follow it and lose theirs.",
            "Give it a save point (CONFIG SET save '3600 1') or appendonly yes first.",
        )


def loses(node: NodeSession) -> Iterator[Reason]:
    """Yield a warning where a restart empties the server."""
    if lost := keys_lost(node):
        yield Reason(
            "DataLost",
            f"{node.name}: it writes nothing to disk, so the restart loses its {_keys(lost)}.",
            "To keep them, give it a save point (CONFIG SET save '3600 1') first.",
        )


def writes_down(node: NodeSession) -> bool:
    """Say whether the server writes its data to disk, by save points or appendonly."""
    config, tree = node.runtime.config, node.server.tree
    points = [" ".join(each) for each in tree.all("save")] or ["by default"]
    save = config.get("save", "".join(points))
    return bool(save) or config.get("appendonly", tree.value("appendonly") or "no") == "yes"


def _is_database(name: str) -> bool:
    return name.startswith("db") and name[2:].isdecimal()


def _keys(count: int) -> str:
    return f"{count} key{'s' * (count != 1)}"
