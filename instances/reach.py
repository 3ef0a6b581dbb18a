"""From rows to what `instances.remote` needs to reach a machine."""

from instances.errors import Conflict
from instances.models import Machine
from instances.reason import Reason
from instances.remote.ssh import SshTarget


def ssh_target(machine: Machine, name: str) -> SshTarget:
    """Return how to log in on a machine.

    Args:
        machine: With its credential and jump host at hand.
        name: What errors call it.

    Raises:
        Conflict: The host key is not confirmed: an unconfirmed machine gets no login.
    """
    if not machine.host_key or machine.host_key_confirmed_at is None:
        raise Conflict(
            Reason(
                "HostKeyUnconfirmed",
                f"{name}: the host key of {machine} is not confirmed, so no login is tried.",
                "Compare the fingerprint with the machine's own and confirm it.",
            )
        )
    return SshTarget(
        name=name,
        address=machine.address,
        port=machine.ssh_port,
        user=machine.user,
        private_key=machine.credential.private_key,
        host_key=machine.host_key,
        use_sudo=machine.user != "root",
        jump=ssh_target(machine.jump_host, str(machine.jump_host)) if machine.jump_host else None,
    )
