"""What the database knows of nodes, read before the threads that speak to them begin."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from django.db.models import Count

from addons.catalogue import addon_named
from addons.engine.step import State
from addons.models import Certificate, Installation, NodeInstallation
from addons.session import NodeBrief
from instances.errors import DomainError
from instances.introduction import introduction_to
from instances.models import Node
from instances.neighbours import cluster_neighbours
from instances.nodeconf.facts import NodeFacts, facts_command, parse_facts, program_from_json
from instances.reach import ssh_target
from instances.remote.host import Host
from instances.remote.ssh import SshTarget
from instances.topology import known_in


def briefs_of(
    installation: Installation, nodes: Sequence[Node], *, run: int | None = None
) -> dict[int, NodeBrief]:
    """Return what is known of nodes that an installation is on, by the node's key.

    A constant number of queries, however many nodes.

    Args:
        installation: The add-on on their group.
        nodes: With machine, credential and jump host at hand.
        run: The run that works on them; what it recorded itself is no way back from before it.
    """
    numbers = [node.pk for node in nodes]
    rows = NodeInstallation.objects.filter(installation=installation, node__in=numbers)
    installed = {row.node_id: row for row in rows}
    certificates = _certificates(numbers)
    shared = _shared_machines(nodes)
    introduce = introduction_to(installation.group.environment)
    fellows = tuple(known_in(installation.group_id))
    neighbours = cluster_neighbours(installation.group, fellows)
    return {
        node.pk: NodeBrief(
            node=node.pk,
            name=node.name,
            target=_target(node),
            unit=node.unit,
            config_path=node.config_path,
            program=program_from_json(node.facts),
            client_addresses=tuple(node.client_addresses),
            username=node.server_username,
            password=node.server_password,
            baseline=_baseline(installation, installed.get(node.pk), run),
            begun={},
            certificates=certificates[node.pk],
            shares_machine=node.machine_id in shared,
            beside=_beside(node, nodes),
            fellows=fellows,
            neighbours=neighbours,
            installation=installation.pk,
            introduce=introduce,
        )
        for node in nodes
    }


def facts_read(host: Host, brief: NodeBrief) -> NodeFacts:
    """Read a node's facts; its program is asked only where it is another one than it was."""
    program = brief.program
    command = facts_command(
        brief.unit or None,
        brief.config_path or None,
        remembered=program.identity if program else "",
    )
    return parse_facts(host.run(command).stdout, program)


def _certificates(nodes: Sequence[int]) -> Mapping[int, Mapping[str, str]]:
    """Return the certificates issued to nodes: their keys' digests by fingerprint."""
    known: dict[int, dict[str, str]] = defaultdict(dict)
    rows = Certificate.objects.filter(node__in=nodes).exclude(state=Certificate.State.ABANDONED)
    for node, fingerprint, digest in rows.values_list("node", "fingerprint", "key_digest"):
        known[node or 0][fingerprint] = digest
    return known


def _shared_machines(nodes: Sequence[Node]) -> set[int]:
    machines = {node.machine_id for node in nodes}
    together = Node.objects.filter(machine__in=machines).values("machine")
    counted = together.annotate(count=Count("pk")).filter(count__gt=1)
    return set(counted.values_list("machine", flat=True))


def _beside(node: Node, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Name the other servers among the nodes that are on this node's machine."""
    others = (other for other in nodes if other.pk != node.pk and not other.is_sentinel)
    return tuple(other.name for other in others if other.machine_id == node.machine_id)


def _target(node: Node) -> SshTarget | DomainError:
    try:
        return ssh_target(node.machine, node.name)
    except DomainError as refusal:
        return refusal


def _baseline(
    installation: Installation, row: NodeInstallation | None, run: int | None
) -> dict[str, State]:
    """Fold the layers of earlier runs into one way back; this run's own layer is not part of it."""
    merge = addon_named(installation.addon).merge_baselines
    recorded = [
        (layer["run"], step, layer["state"])
        for step, layers in (row.baseline.items() if row else ())
        for layer in layers
        if layer["run"] != run
    ]
    folded: dict[str, State] = {}
    for _, step, state in sorted(recorded, key=itemgetter(0)):
        folded[step] = merge(step, folded, state)
    return folded
