"""Writes on environments, groups, machines, nodes and credentials."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from instances.audit import Actor, audit
from instances.errors import Conflict, Invalid, NotFound
from instances.models import Credential, Environment, Machine, Node, NodeGroup
from instances.reason import Reason
from instances.remote.host_key import fingerprint
from instances.remote.keys import KeyUnusable, generate_ed25519, public_line
from instances.remote.known_hosts import find_host_keys
from instances.secret import Secret

DEFAULT_CREDENTIAL = "default"
DEFAULT_USER = "root"


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What is asked for when a node is registered; names follow the form and the command.

    Args:
        host_key: The fingerprint (``SHA256:...``) that the machine's key must have.
        known_hosts: The text of a known_hosts file to take the key from.
        client_addresses: The names and addresses that clients use; the address itself if empty.
    """

    address: str
    name: str = ""
    ssh_port: int = 22
    user: str = DEFAULT_USER
    credential: str = ""
    host_key: str = ""
    known_hosts: str = ""
    unit: str = ""
    config_path: str = ""
    client_addresses: Sequence[str] = ()
    server_username: str = ""
    server_password: Secret = field(default_factory=lambda: Secret(""))


def environment_create(*, actor: Actor, name: str, region: str = "") -> Environment:
    """Make an environment.

    Raises:
        Invalid: The name is not acceptable, or taken.
    """
    environment = Environment(name=name, region=region)
    with transaction.atomic():
        _save_clean(environment)
        audit(actor, "environment.create", environment)
    return environment


def group_create(*, actor: Actor, environment: Environment, name: str) -> NodeGroup:
    """Make a node group.

    Raises:
        Invalid: The name is not acceptable, or taken in this environment.
    """
    group = NodeGroup(environment=environment, name=name)
    with transaction.atomic():
        _save_clean(group)
        audit(actor, "group.create", group)
    return group


def environment_update(
    *, actor: Actor, environment: Environment, name: str, region: str
) -> Environment:
    """Rename an environment or change its region. Its authority keeps the name it was made with.

    Raises:
        Invalid: The name is not acceptable, or taken.
    """
    before = environment.name
    environment.name, environment.region = name, region
    with transaction.atomic():
        _save_clean(environment)
        audit(actor, "environment.update", environment, before=before, region=region)
    return environment


def environment_remove(*, actor: Actor, environment: Environment) -> None:
    """Remove an environment without groups.

    Raises:
        Conflict: It has groups, or there is a record of it to keep.
    """
    _remove(actor, "environment.remove", environment, environment.groups.count(), "node group")


def group_rename(*, actor: Actor, group: NodeGroup, name: str) -> NodeGroup:
    """Rename a node group.

    Raises:
        Invalid: The name is not acceptable, or taken in this environment.
    """
    before, group.name = group.name, name
    with transaction.atomic():
        _save_clean(group)
        audit(actor, "group.rename", group, before=before)
    return group


def group_remove(*, actor: Actor, group: NodeGroup) -> None:
    """Remove a node group without nodes.

    Raises:
        Conflict: It has nodes, or there is a record of it to keep.
    """
    _remove(actor, "group.remove", group, group.nodes.count(), "node")


def credential_create(*, actor: Actor, name: str, private_key: Secret | None = None) -> Credential:
    """Store an SSH key, or make an Ed25519 one where none is given.

    Raises:
        Invalid: The name is taken or the key is not one that the panel can use.
    """
    try:
        if private_key is None:
            private_key, public = generate_ed25519(f"redoubt-{name}")
        else:
            public = public_line(private_key)
    except KeyUnusable as error:
        raise Invalid("private_key", str(error)) from error
    credential = Credential(name=name, private_key=private_key, public_key=public)
    with transaction.atomic():
        _save_clean(credential)
        audit(actor, "credential.create", credential)
    return credential


def node_register(*, actor: Actor, group: NodeGroup, request: NodeRequest) -> Node:
    """Register a server and, where it is new, its machine. Nothing is contacted here.

    Raises:
        Invalid: A field is not acceptable.
        NotFound: The named credential does not exist.
    """
    with transaction.atomic():
        machine = _machine(actor, request)
        node = Node(
            group=group,
            machine=machine,
            name=request.name or name_from(request.address),
            unit=request.unit,
            config_path=request.config_path,
            client_addresses=list(request.client_addresses) or [request.address],
            server_username=request.server_username,
            server_password=request.server_password,
        )
        _save_clean(node)
        audit(actor, "node.register", node, group=str(group), address=str(machine))
    return node


def nodes_register(
    *, actor: Actor, group: NodeGroup, requests: Sequence[NodeRequest]
) -> list[Node]:
    """Register servers, all of them or none. Nothing is contacted here.

    Raises:
        Invalid: As `node_register`, with the address of the one that is not acceptable.
        NotFound: The named credential does not exist.
    """
    nodes = []
    with transaction.atomic():
        for request in requests:
            try:
                nodes.append(node_register(actor=actor, group=group, request=request))
            except Invalid as error:
                message = f"{request.address}: {error.reason.message}"
                raise Invalid(error.field, message, error.reason.next_step) from error
    return nodes


def machine_confirm_host_key(*, actor: Actor, machine: Machine, fingerprint_seen: str) -> None:
    """Pin the scanned host key that a person has compared.

    Raises:
        Conflict: The key on record is not the one the person saw.
    """
    if not machine.host_key or fingerprint(machine.host_key) != fingerprint_seen:
        raise Conflict(
            Reason(
                "HostKeyDiffers",
                f"{machine}: the key on record is not the one that was shown.",
                "Compare the fingerprint again and confirm the one that is shown now.",
            )
        )
    with transaction.atomic():
        same = Machine.objects.filter(pk=machine.pk, host_key=machine.host_key)
        if not same.update(host_key_confirmed_at=timezone.now()):
            raise Conflict(
                Reason("HostKeyDiffers", f"{machine}: its key was scanned anew meanwhile.")
            )
        audit(actor, "machine.confirm_host_key", machine, fingerprint=fingerprint_seen)


def machine_forget_host_key(*, actor: Actor, machine: Machine) -> None:
    """Unpin the host key, as after a reinstallation: the next look scans it, and it is confirmed.

    Until then nobody logs in there.
    """
    with transaction.atomic():
        Machine.objects.filter(pk=machine.pk).update(
            host_key="", host_key_confirmed_at=None, expected_fingerprint=""
        )
        pinned = fingerprint(machine.host_key) if machine.host_key else ""
        audit(actor, "machine.forget_host_key", machine, fingerprint=pinned)


def node_update(*, actor: Actor, node: Node, changes: Mapping[str, Any]) -> Node:
    """Change what an operator states of a node.

    Args:
        changes: Of ``name``, ``unit``, ``config_path``, ``client_addresses``, ``server_username``
            and ``server_password``; what is absent stays.

    Raises:
        Invalid: A field is not acceptable.
    """
    for name in changes.keys() - _STATED:
        raise Invalid(name, f"“{name}” of a node cannot be changed.")
    with transaction.atomic():
        for name, value in changes.items():
            setattr(node, name, value)
        _save_clean(node, only=changes)
        # Which fields, not their values: a password is among them.
        audit(actor, "node.update", node, fields=sorted(changes))
    return node


def node_remove(*, actor: Actor, node: Node) -> None:
    """Forget a node, and its machine where nothing else is on it. The server goes on as it is.

    Raises:
        Conflict: There is a record of it to keep: an add-on, runs, certificates.
    """
    machine, group = node.machine, str(node.group)
    with transaction.atomic():
        _remove(actor, "node.remove", node, group=group, address=str(machine))
        # A machine through which others are reached stays.
        leads_on = Machine.objects.filter(jump_host=machine).exists()
        if not leads_on and not machine.nodes.exists():
            machine.delete()


_STATED = frozenset(
    {"name", "unit", "config_path", "client_addresses", "server_username", "server_password"}
)


def _machine(actor: Actor, request: NodeRequest) -> Machine:
    known = Machine.objects.filter(address=request.address, ssh_port=request.ssh_port).first()
    if known is not None:
        _same_login(known, request)
        return known
    machine = Machine(
        address=request.address,
        ssh_port=request.ssh_port,
        user=request.user,
        credential=_credential(actor, request.credential),
        expected_fingerprint=request.host_key,
    )
    if request.known_hosts:
        machine.host_key = _known_host_key(request)
        machine.host_key_confirmed_at = timezone.now()
    _save_clean(machine)
    return machine


def _same_login(machine: Machine, request: NodeRequest) -> None:
    """See that a second server on a machine does not ask for another login.

    Raises:
        Invalid: It does.
    """
    if request.credential and request.credential != machine.credential.name:
        raise Invalid(
            "credential", f"{machine} is known already, with the credential {machine.credential}."
        )
    if request.user not in {DEFAULT_USER, machine.user}:
        raise Invalid("user", f"{machine} is known already, with the user {machine.user}.")


def _known_host_key(request: NodeRequest) -> str:
    lines = find_host_keys(request.known_hosts, request.address, request.ssh_port)
    if not lines:
        raise Invalid(
            "known_hosts",
            f"The known_hosts file has no key for {request.address}.",
            f"Add it with ssh-keyscan -p {request.ssh_port} {request.address} after comparing it.",
        )
    return next((line for line in lines if line.startswith("ssh-ed25519 ")), lines[0])


def _credential(actor: Actor, name: str) -> Credential:
    if name:
        found = Credential.objects.filter(name=name).first()
        if found is None:
            raise NotFound(
                Reason("NoCredential", f"There is no credential “{name}”."), field="credential"
            )
        return found
    only = list(Credential.objects.all()[:2])
    if len(only) == 1:
        return only[0]
    default = Credential.objects.filter(name=DEFAULT_CREDENTIAL).first()
    return default or credential_create(actor=actor, name=DEFAULT_CREDENTIAL)


def name_from(address: str) -> str:
    """Return the name that a node gets where none is given."""
    return address.lower().replace(".", "-").replace(":", "-").strip("-")[:63]


def _remove(
    actor: Actor, verb: str, target: models.Model, holds: int = 0, part: str = "", **detail: str
) -> None:
    """Delete a row that nothing refers to.

    Args:
        holds: How many parts it still has.
        part: What one of them is called.

    Raises:
        Conflict: It has parts, or other rows refer to it.
    """
    if holds:
        parts = part if holds == 1 else f"{part}s"
        raise Conflict(
            Reason("NotEmpty", f"{target} has {holds} {parts}.", f"Remove the {parts} first.")
        )
    name = str(target)
    try:
        with transaction.atomic():
            target.delete()
            audit(actor, verb, name, **detail)
    except models.ProtectedError as error:
        raise Conflict(
            Reason(
                "HasRecord",
                f"{name} cannot be removed: what Redoubt did there is on record, and is kept.",
            )
        ) from error


def _save_clean(instance: models.Model, only: Iterable[str] | None = None) -> None:
    """Validate and save.

    Args:
        only: The fields to write, where the row is there already and others write to it too.

    Raises:
        Invalid: With the first field that is wrong.
    """
    try:
        instance.full_clean()
        instance.save(update_fields=None if only is None else list(only))
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise Invalid(_field_of(name, error), " ".join(messages)) from error
    except IntegrityError as error:
        raise Invalid("", "Something with these values exists already.") from error


def _field_of(name: str, error: ValidationError) -> str:
    """Return where an error belongs: a name that is taken among its like is the name's."""
    if name != NON_FIELD_ERRORS:
        return name
    params = error.error_dict[name][0].params or {}
    return "name" if "name" in params.get("unique_check", ()) else ""
