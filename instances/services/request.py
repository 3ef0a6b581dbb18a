"""What is asked for when a node is registered."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from instances.secret import Secret

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


def name_from(address: str) -> str:
    """Return the name that a node gets where none is given."""
    return address.lower().replace(".", "-").replace(":", "-").strip("-")[:63]
