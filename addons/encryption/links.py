"""Links between servers: what has to be so before they move to TLS, or the plain port closes."""

from collections.abc import Iterator
from functools import partial

from addons.encryption.cluster import crosses, in_cluster
from addons.encryption.fellows import fellows_of
from addons.encryption.history import History
from addons.encryption.issuer import Issuer
from addons.encryption.plaintext import plain_sample, watches
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.link import wait_for_link
from addons.encryption.wanted import Wanted
from addons.engine.step import State, StepFailed
from addons.session import NodeSession
from instances.nodeconf.client_list import Kind
from instances.reason import Reason
from instances.remote.errors import RemoteError
from instances.remote.tls_probe import probe_tls

_TIMEOUT = 5.0


def is_replica(node: NodeSession) -> bool:
    """Say whether the running server follows another one."""
    return node.runtime.info.get("role") == "slave"


def family(node: NodeSession) -> str:
    """Return what a server's data is known by among its copies; empty where there is no other.

    A primary and all that follow it, at first or second hand, tell one replication id. The
    primaries of a cluster have one word: nobody else is to be away while one is.
    """
    info = node.runtime.info
    if in_cluster(node.runtime) and not is_replica(node):
        # One at a time: the others have to be able to elect.
        return "cluster"
    copied = is_replica(node) or info.get("connected_slaves", "0") != "0"
    return info.get("master_replid", "") if copied else ""


def link_port(node: NodeSession, spec: EncryptionSpec, history: History) -> int:
    """Return the port on which a replica is to follow its primary; 0 where it stays as it is.

    The settings are those of a whole group, so the primary's TLS port is the replica's own.
    """
    if in_cluster(node.runtime) or not is_replica(node):
        return 0
    if spec.replicates_over_tls:
        return spec.tls_port
    return link_port_before(node, history) if history.link_moved else 0


def link_port_before(node: NodeSession, history: History) -> int:
    """Return the port on which a replica is to follow once links are as before the add-on.

    Who was a primary then has followed nobody: it takes the plain port, as all in its group do.
    """
    recorded: list[State] = [
        state
        for states in (node.brief.baseline, node.brief.begun)
        if (state := states.get("link")) is not None
    ]
    return int(recorded[0]["port"]) if recorded else history.plain_port


def rank(node: NodeSession, *specs: EncryptionSpec | None, live: bool) -> int:
    """Return when a node has its turn: those of a lower rank go first.

    Nodes of a cluster that change at one moment have one rank. Else a replica is changed before its
    primary. Where links are, or were, over TLS the primary goes first: what its replicas are to
    follow has to be open before they come.

    Args:
        node: The node.
        specs: The settings before and after.
        live: Whether the running server takes them.
    """
    if live and crosses(node.runtime, *specs):
        return 0
    links = any(spec is not None and spec.replicates_over_tls for spec in specs)
    if is_replica(node):
        return 1 if links else 0
    follows = node.runtime.info.get("connected_slaves", "0") != "0"
    return 1 if follows and not links else 0


def link_obstacles(
    node: NodeSession, spec: EncryptionSpec, former: EncryptionSpec | None, issuer: Issuer
) -> Iterator[Reason]:
    """Yield why links cannot be led to TLS.

    Args:
        former: The settings in force; None where the add-on is not on.
        issuer: Of the group's environment, whose certificate the primary has to show.
    """
    if not spec.replicates_over_tls or (former and former.replicates_over_tls):
        return
    if in_cluster(node.runtime):
        return
    if is_replica(node):
        yield from _primary_obstacles(node, spec, former, issuer)


def watch_obstacles(
    node: NodeSession, spec: EncryptionSpec, wanted: Wanted, history: History
) -> Iterator[Reason]:
    """Yield why Sentinels stand in the way: they speak one transport to everybody.

    So a group that they watch has two states only (REDIS_FACTS 4).
    """
    if not (spec.replicates_over_tls or spec.tls_only):
        return
    fellows = fellows_of(node)
    there = _watchers(node)
    outside = sorted(there - fellows.sentinels)
    if outside:
        yield Reason(
            "SentinelWatches",
            f"{node.name}: a Sentinel at {', '.join(outside)} watches it in plaintext, and would "
            "take it for down.",
            "Add every Sentinel to this group first.",
        )
    if not (there or fellows.watched):
        return
    whole = spec.replicates_over_tls and spec.tls_only and spec.tls_port == history.plain_port
    if not whole:
        yield Reason(
            "SentinelStates",
            f"{node.name}: Sentinels watch it, and they speak either plaintext or TLS to everybody "
            f"and know it by port {history.plain_port}.",
            "Either keep plaintext=keep and tls_replication=off, or choose all of plaintext=off, "
            f"tls_replication=on and tls_port={history.plain_port}.",
        )
    elif not wanted.live:
        yield Reason(
            "SentinelNeedsLive",
            f"{node.name}: it takes these settings by a restart only, which its Sentinels could "
            "answer with a failover to a server that speaks the other transport.",
            "Keep plaintext=keep and tls_replication=off, or upgrade the server first.",
        )


def watch_warnings(
    node: NodeSession, spec: EncryptionSpec | None, former: EncryptionSpec | None
) -> Iterator[Reason]:
    """Yield that a primary that dies meanwhile is not replaced.

    Args:
        spec: The settings after the run; None where the add-on goes.
        former: Those before it; None where it was not on.
    """
    moves = {bool(each and each.replicates_over_tls) for each in (spec, former)}
    if fellows_of(node).watched and len(moves) > 1:
        yield Reason(
            "FailoverOff",
            f"{node.name}: automatic failover is off while this run works, mostly some seconds: a "
            "primary that dies then is not replaced before it has ended.",
        )


def _watchers(node: NodeSession) -> set[str]:
    there = plain_sample(node).connections
    return {each.peer.address for each in there if watches(each)}


def _primary_obstacles(
    node: NodeSession, spec: EncryptionSpec, former: EncryptionSpec | None, issuer: Issuer
) -> Iterator[Reason]:
    host = node.runtime.info.get("master_host", "")
    if former is None:
        yield Reason(
            "PrimaryNotEncrypted",
            f"{node.name}: its primary {host} has to speak TLS before its replicas follow over it.",
            "Install with tls_replication=off first, then change this setting.",
        )
        return
    why = _no_tls(node, host, former.tls_port, issuer)
    # Where an earlier attempt has moved the primary already, it speaks it on the other port.
    if why and _no_tls(node, host, spec.tls_port, issuer):
        yield Reason(
            "PrimaryNotEncrypted",
            f"{node.name}: its primary {host} does not speak TLS on {former.tls_port} with a "
            f"certificate of this environment: {why}.",
            "Bring the primary into the group, and install on it first.",
        )


def _no_tls(node: NodeSession, host: str, port: int, issuer: Issuer) -> str:
    """Return why a port does not speak TLS as it should; empty where it does."""
    try:
        seen = probe_tls(
            partial(node.host.connect, host, port, _TIMEOUT),
            server_name=host,
            ca_pem=issuer.trusted,
            client=node.brief.introduce(),
            timeout=_TIMEOUT,
            node=node.name,
        )
    except RemoteError as error:
        return error.message
    return "" if seen.chain_verified.ok else seen.chain_verified.message


def plain_links(node: NodeSession, spec: EncryptionSpec, history: History) -> Iterator[Reason]:
    """Yield why the plain port cannot be closed: servers still speak plaintext to each other.

    Where TLS takes its number over in the same run, the group's own links are made anew on it.
    """
    if not (spec.tls_only and history.plain_port) or _all_come(node, spec, history):
        return
    info = node.runtime.info
    encrypted = node.runtime.config.get("tls-replication") == "yes"
    why = ""
    if in_cluster(node.runtime):
        over_tls = node.runtime.config.get("tls-cluster") == "yes"
        why = "" if over_tls else "it is part of a cluster whose nodes speak to each other"
    elif is_replica(node) and not encrypted:
        why = "it is a replica"
    elif info.get("connected_slaves", "0") != "0" and _followed_in_plaintext(node):
        why = "replicas follow it"
    if why:
        yield Reason(
            "PlainLinks",
            f"{node.name}: {why}, over the plain port.",
            "Lead these links to TLS first: tls_replication=on, or tls_cluster=on in a cluster.",
        )


def _all_come(node: NodeSession, spec: EncryptionSpec, history: History) -> bool:
    if not (spec.replicates_over_tls and spec.tls_port == history.plain_port):
        return False
    there = plain_sample(node).connections
    following = {each.peer.address for each in there if each.kind is Kind.REPLICA}
    primary = {node.runtime.info["master_host"]} if is_replica(node) else set()
    return following | primary <= fellows_of(node).servers


def _followed_in_plaintext(node: NodeSession) -> bool:
    return any(each.kind is Kind.REPLICA for each in plain_sample(node).connections)


def link_proof(node: NodeSession, spec: EncryptionSpec) -> list[str]:
    """Return what proves that a replica follows over TLS; nothing for who follows nobody.

    Raises:
        StepFailed: It does not follow, or not so.
    """
    if not spec.replicates_over_tls:
        return []
    info = node.read_runtime().info
    if not is_replica(node):
        return []
    place = f"{info.get('master_host')}:{info.get('master_port')}"
    if info.get("master_port") != str(spec.tls_port):
        raise StepFailed(
            Reason(
                "PlainLink",
                f"{node.name}: it follows {place}, not on port {spec.tls_port}.",
                "Look who configures replication there (a Sentinel, a script), and repair.",
            )
        )
    wait_for_link(node, place)
    return [f"the replication link to {place} is up, over TLS"]
