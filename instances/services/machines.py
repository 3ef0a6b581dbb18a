"""The hosts that nodes run on: how the panel logs in, and which host key it expects."""

from django.db import transaction
from django.utils import timezone

from instances.audit import Actor, audit
from instances.errors import Conflict, Invalid, NotFound
from instances.models import Credential, Machine
from instances.reason import Reason
from instances.remote.host_key import fingerprint
from instances.remote.known_hosts import find_host_keys
from instances.services.credentials import credential_create
from instances.services.request import DEFAULT_USER, NodeRequest
from instances.services.saving import save_clean

DEFAULT_CREDENTIAL = "default"


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


def machine_for(*, actor: Actor, request: NodeRequest) -> Machine:
    """Return the machine that a node is to be registered on, stored if it is new.

    Raises:
        Invalid: A field is not acceptable, or the machine is known with another login.
        NotFound: The named credential does not exist.
    """
    known = Machine.objects.filter(address=request.address, ssh_port=request.ssh_port).first()
    if known is not None and known.nodes.exists():
        _same_login(known, request)
        return known
    if known is not None:
        # Only archived nodes are on it: how it is reached is stated anew, its host key stays.
        known.user, known.credential = request.user, _credential(actor, request.credential)
        save_clean(known, only=["user", "credential"])
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
    save_clean(machine)
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
