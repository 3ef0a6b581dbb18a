"""A look at a node: is it reachable, what is it, can its server be spoken to."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from instances.audit import PANEL, audit
from instances.errors import DomainError, fault
from instances.introduction import introduction_to
from instances.models import Machine, Node
from instances.nodeconf.facts import (
    FactsError,
    NodeFacts,
    facts_command,
    parse_facts,
    to_public_json,
)
from instances.opening import open_server
from instances.reach import ssh_target
from instances.reason import Reason
from instances.remote.errors import RemoteError
from instances.remote.host_key import fingerprint, scan_host_key
from instances.remote.ssh import SshHost
from instances.runtime import RuntimeFacts, read_runtime
from instances.topology import topology_store

CLOCK_TOLERANCE_SECONDS = 300


def node_look(*, node: int) -> None:
    """Look at the node and store its facts, or why there are none.

    A machine without a host key is only asked for its key; the login waits for a confirmation,
    unless the key has the fingerprint that the operator gave beforehand.
    """
    row = (
        Node.objects.select_related(
            "group__environment", "machine__credential", "machine__jump_host__credential"
        )
        .filter(pk=node)
        .first()
    )
    if row is None:
        # Removed or archived since the look was asked for.
        return
    try:
        if not row.machine.host_key:
            _scan(row.machine)
        facts, runtime, problem = _facts_of(row)
    except (DomainError, RemoteError, FactsError) as error:
        facts, runtime, problem = None, None, _reason(error)
    node_looked_at(node=row, facts=facts, runtime=runtime, problem=problem)


def _scan(machine: Machine) -> None:
    """Fetch the host key; confirm it where it is the expected one."""
    key = scan_host_key(machine.address, machine.ssh_port)
    machine.host_key = key.line
    if machine.expected_fingerprint == key.fingerprint_sha256:
        machine.host_key_confirmed_at = timezone.now()
        audit(PANEL, "machine.confirm_host_key", machine, fingerprint=key.fingerprint_sha256)
    elif machine.expected_fingerprint:
        raise DomainError(
            Reason(
                "HostKeyDiffers",
                f"{machine}: its host key is {key.fingerprint_sha256}, "
                f"expected was {machine.expected_fingerprint}.",
                "Compare with the machine's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub.",
            )
        )
    machine.save(update_fields=["host_key", "host_key_confirmed_at"])


def _facts_of(row: Node) -> tuple[NodeFacts, RuntimeFacts | None, Reason | None]:
    host = SshHost.open(ssh_target(row.machine, row.name))
    try:
        command = facts_command(row.unit or None, row.config_path or None)
        facts = parse_facts(host.run(command).stdout)
        try:
            login = (row.server_username, row.server_password)
            redis = open_server(
                host,
                facts.server,
                *login,
                introduce=introduction_to(row.group.environment),
                also=facts.ports_listened_on,
            )
            runtime = read_runtime(redis, facts.server)
            redis.close()
        except RemoteError as error:
            return facts, None, _reason(error)
        return facts, runtime, None
    finally:
        host.close()


def node_looked_at(
    *, node: Node, facts: NodeFacts | None, runtime: RuntimeFacts | None, problem: Reason | None
) -> None:
    """Store what a look came to. What was seen before stays where nothing was seen now.

    Args:
        node: The node.
        facts: None where the machine was not reached.
        runtime: What the running server says; None where it does not answer.
        problem: What stood in the way.
    """
    now = timezone.now()
    if facts is not None and runtime is not None:
        problem = problem or _complaint(node, facts, runtime)
    changed: dict[str, Any] = {"looked_at": now, "fault": fault(problem) if problem else {}}
    if facts is not None:
        public = to_public_json(facts)
        public |= {"runtime": runtime_json(runtime)} if runtime else {}
        changed |= {"facts": public, "facts_at": now}
    with transaction.atomic():
        Node.objects.filter(pk=node.pk).update(**changed)
        if facts is not None:
            backend = str(facts.firewall.backend)
            Machine.objects.filter(pk=node.machine_id).update(firewall_backend=backend)
        topology_store(node=node, facts=facts, seen=runtime.seen if runtime else None, now=now)


def runtime_json(runtime: RuntimeFacts) -> Mapping[str, Any]:
    """Return what may be stored of the running server."""
    return {
        "config": dict(runtime.config),
        "config_refused": fault(runtime.config_refused) if runtime.config_refused else {},
        "role": {"master": "primary", "slave": "replica"}.get(runtime.role, runtime.role),
        "clients": runtime.clients,
    }


def _complaint(row: Node, facts: NodeFacts, runtime: RuntimeFacts) -> Reason | None:
    """Return what is wrong with a node that could be read."""
    off = facts.clock - timezone.now().timestamp()
    if abs(off) > CLOCK_TOLERANCE_SECONDS:
        return Reason(
            "ClockOff",
            f"{row.name}: its clock is {abs(off) / 60:.0f} minutes off.",
            "Set its clock, for example with timedatectl set-ntp true.",
        )
    refused = runtime.config_refused
    if refused is not None and refused.code == "NoPermission":
        return refused
    return None


def _reason(error: DomainError | RemoteError | FactsError) -> Reason:
    match error:
        case DomainError():
            return error.reason
        case RemoteError():
            return Reason(error.reason, str(error), error.next_step)
    return Reason(error.reason, error.message)


def host_key_fingerprint(machine: Machine) -> str:
    """Return the fingerprint of the key on record; empty where there is none."""
    return fingerprint(machine.host_key) if machine.host_key else ""
