"""Hands a primary's role over through its Sentinels, and loses no write that it acknowledged.

A Sentinel promotes a replica first and demotes the primary some ten seconds later (redis 7.0.15
src/sentinel.c, sentinelRefreshInstanceInfo): what the primary takes meanwhile is lost. So its
writes are held back from before the replica has them all until it is a replica itself.
"""

import time
from collections.abc import Sequence

from addons.encryption.handover import heirs_linked, not_handed_over
from addons.encryption.party import Party, hosts_of, replication_of, wait
from addons.encryption.steps.configuration import install_directives
from addons.encryption.steps.link import wait_for_link
from addons.encryption.watching import sentinel_rows, wait_until_whole
from addons.session import NodeSession
from instances.nodeconf.client_list import Place
from instances.remote.errors import RemoteError

_CAUGHT_UP_SECONDS = 2.0
_SHORT_MS = 3_000
"""Until a failover is asked for, nobody is to wait for longer if the panel dies."""
_LONG_MS = 30_000
"""After that: if the panel dies, the Sentinels themselves demote the primary within this."""
_PROMOTED_SECONDS = 20.0
_AGREED_SECONDS = 20.0
_POLL_SECONDS = 0.02


def by_sentinels(node: NodeSession, party: Party) -> NodeSession:
    """Hand the role over to whom the Sentinels choose, and return that one.

    Args:
        node: The primary.
        party: The nodes of the run.

    Raises:
        StepFailed: Nobody took over, or not everybody knows it.
    """
    name, sentinels = _watched_as(node, party)
    place = _chosen_before(node, name, sentinels) or _failed_over(node, name, sentinels, party)
    redis = node.redis()
    # At once: what it has that the other one has not, a PING, would cost a full resync.
    redis.execute("REPLICAOF", place.address, place.port)
    if not wait(lambda: all(_names(each, name, place) for each in sentinels), _AGREED_SECONDS):
        raise not_handed_over(node, f"not every Sentinel names {place} yet")
    # As Sentinels do: clients ask them anew, and find the other one.
    redis.pipeline([("CLIENT", "KILL", "TYPE", kind) for kind in ("normal", "pubsub")])
    redis.execute("CLIENT", "UNPAUSE")
    keep_primary(node, place)
    wait_for_link(node, str(place))
    return next(each for each in party.servers if _is_at(each, place))


def _failed_over(
    node: NodeSession, name: str, sentinels: Sequence[NodeSession], party: Party
) -> Place:
    """Have the Sentinels promote a replica that has everything; the primary is left without writes.

    An error after they were asked leaves it so, too, for a while: who is promoted would lack them.
    """
    heirs = heirs_linked(node, party)
    for sentinel in sentinels:
        if missing := wait_until_whole(sentinel):
            raise not_handed_over(node, f"{sentinel.name}: {missing}")
    places = {heir.name: _met_at(sentinels[0], name, heir) for heir in heirs}
    redis = node.redis()
    redis.execute("CLIENT", "PAUSE", _SHORT_MS, "WRITE")
    try:
        if not wait(lambda: _have_all(node, heirs), _CAUGHT_UP_SECONDS):
            raise not_handed_over(node, "its replicas do not catch up with it")
        redis.execute("CLIENT", "PAUSE", _LONG_MS, "WRITE")
        sentinels[0].redis().execute("SENTINEL", "FAILOVER", name)
    except BaseException:
        redis.execute("CLIENT", "UNPAUSE")
        raise
    return places[_promoted(node, heirs).name]


def _chosen_before(node: NodeSession, name: str, sentinels: Sequence[NodeSession]) -> Place | None:
    """Return whom the Sentinels have promoted already, or are about to, for an earlier attempt."""
    deadline = time.monotonic() + _PROMOTED_SECONDS
    while time.monotonic() < deadline:
        told = [_primary_of(each, name) for each in sentinels]
        others = [place for place, _ in told if not _is_at(node, place)]
        if others:
            return others[0]
        if not any(changing for _, changing in told):
            break
        time.sleep(_POLL_SECONDS)
    return None


def _primary_of(sentinel: NodeSession, name: str) -> tuple[Place, bool]:
    """Return whom a Sentinel names, and whether it is about to change that."""
    asked = [("SENTINEL", word, name) for word in ("GET-MASTER-ADDR-BY-NAME", "MASTER")]
    told, row = sentinel.redis().pipeline(asked)
    (master,) = sentinel_rows([row])
    return Place(told[0], int(told[1])), "failover_in_progress" in master["flags"].split(",")


def _watched_as(node: NodeSession, party: Party) -> tuple[str, list[NodeSession]]:
    """Return as what a primary is watched, and by whom; it may have become a replica for them."""
    found: dict[str, list[NodeSession]] = {}
    for sentinel in party.sentinels:
        redis = sentinel.redis()
        for row in sentinel_rows(redis.execute("SENTINEL", "MASTERS")):
            replicas = sentinel_rows(redis.execute("SENTINEL", "REPLICAS", row["name"]))
            if any(_is_at(node, Place(each["ip"], int(each["port"]))) for each in (row, *replicas)):
                found.setdefault(row["name"], []).append(sentinel)
    if not found:
        raise not_handed_over(node, "no Sentinel of its group watches it")
    return next(iter(found.items()))


def _met_at(sentinel: NodeSession, name: str, heir: NodeSession) -> Place:
    """Return where a Sentinel meets a replica. Its run id it learns too late."""
    for row in sentinel_rows(sentinel.redis().execute("SENTINEL", "REPLICAS", name)):
        place = Place(row["ip"], int(row["port"]))
        if _is_at(heir, place):
            return place
    raise not_handed_over(heir, f"{sentinel.name} does not know it")


def _is_at(node: NodeSession, place: Place) -> bool:
    """Say whether a Sentinel means this server by a place."""
    told = node.runtime.config
    own = (node.server.port, node.server.tls_port)
    ports = {told.get("port"), told.get("tls-port"), *map(str, own)}
    return place.address in hosts_of(node) and str(place.port) in ports


def _have_all(node: NodeSession, heirs: Sequence[NodeSession]) -> bool:
    written = int(replication_of(node)["master_repl_offset"])
    return all(int(replication_of(heir)["master_repl_offset"]) >= written for heir in heirs)


def _promoted(node: NodeSession, heirs: Sequence[NodeSession]) -> NodeSession:
    deadline = time.monotonic() + _PROMOTED_SECONDS
    while time.monotonic() < deadline:
        for heir in heirs:
            if replication_of(heir).get("role") == "master":
                return heir
        time.sleep(_POLL_SECONDS)
    raise not_handed_over(node, "the Sentinels promoted nobody")


def keep_primary(node: NodeSession, place: Place) -> None:
    """Have a server's file name its primary: without that it would follow nobody at a start."""
    path = node.server.config.path
    content = node.host.read_files([path])[0].content or b""
    line = {"replicaof": f"{place.address} {place.port}"}
    new = install_directives(line, node.server)(content).content
    if new != content:
        node.host.replace_file(path, new, content)
    node.configuration_changed(new)


def _names(sentinel: NodeSession, name: str, place: Place) -> bool:
    """Say whether a Sentinel tells clients of a primary, in both manners in which they ask.

    The one that leads the failover answers SENTINEL MASTER with the former until its end.
    """
    asked = [("SENTINEL", word, name) for word in ("GET-MASTER-ADDR-BY-NAME", "MASTER")]
    try:
        told, row = sentinel.redis().pipeline(asked)
        (master,) = sentinel_rows([row])
    except RemoteError:
        sentinel.forget_server()
        return False
    wanted = (place.address, str(place.port))
    return tuple(told) == wanted == (master["ip"], master["port"])
