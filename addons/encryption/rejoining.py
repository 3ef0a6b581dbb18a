"""Whether a server that restarted has come back to its fellows: linked, caught up, all well."""

from addons.encryption.cluster import in_cluster
from addons.encryption.cluster_checks import cluster_ills
from addons.encryption.fellows import fellows_of
from addons.encryption.party import Party, replication_of, wait
from addons.encryption.steps.link import wait_for_link
from addons.encryption.watching import wait_until_whole
from addons.engine.step import StepFailed
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.errors import RemoteError

_WAIT_SECONDS = 20.0


def rejoined(node: NodeSession, party: Party) -> list[str]:
    """Return what proves that a server which restarted has come back to the others.

    Raises:
        StepFailed: It has not.
    """
    said = []
    info = replication_of(node)
    if info.get("role") == "slave":
        place = f"{info.get('master_host')}:{info.get('master_port')}"
        wait_for_link(node, place)
        if not wait(lambda: _caught_up(node, party), _WAIT_SECONDS):
            raise _failed_back(node, f"it lags behind {place}")
        said.append(f"it follows {place} and has caught up")
    if in_cluster(node.runtime):
        timeout = int(node.runtime.config.get("cluster-node-timeout") or 0) / 1000
        if not wait(lambda: not _ails(node), _WAIT_SECONDS + timeout):
            raise _failed_back(node, _ails(node))
        said.append("the cluster is well")
    elif party.sentinels and fellows_of(node).watched:
        with party.turn:
            missing = [text for each in party.sentinels if (text := wait_until_whole(each))]
        if missing:
            raise _failed_back(node, missing[0])
        said.append("its Sentinels reach everybody")
    return said


def _caught_up(node: NodeSession, party: Party) -> bool:
    """Say whether a replica has what its primary had a moment ago; so where that is not managed."""
    data = replication_of(node).get("master_replid", "")
    for other in party.servers:
        told = other.runtime.info if other is node else replication_of(other)
        if told.get("role") == "master" and told.get("master_replid") == data:
            return int(replication_of(node)["master_repl_offset"]) >= int(
                told["master_repl_offset"]
            )
    return True


def _ails(node: NodeSession) -> str:
    try:
        node.read_runtime()
    except RemoteError as error:
        node.forget_server()
        return str(error)
    return next((reason.message for reason in cluster_ills(node)), "")


def _failed_back(node: NodeSession, why: str) -> StepFailed:
    return StepFailed(
        Reason(
            "NotBackAmongOthers",
            f"{node.name}: it restarted, and {why.removeprefix(f'{node.name}: ')}",
            "Its log and those of the others say why.",
        )
    )
