"""What a node of the lab should be, and what it is."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from lab.commands import LabError

Image = Literal["bookworm", "bullseye", "trixie"]
Server = Literal["redis", "valkey", "redis-6.2", "redis-without-tls"]
Firewall = Literal["nftables", "iptables", "ufw", "firewalld", "none"]
Sentinel = Literal["", "beside", "alone"]
State = Literal["running", "stopped", "cut"]

IMAGES: tuple[Image, ...] = get_args(Image)
SERVERS: tuple[Server, ...] = get_args(Server)
FIREWALLS: tuple[Firewall, ...] = get_args(Firewall)

SSH_PORT = 22
REDIS_PORT = 6379
SENTINEL_PORT = 26379
POWER_OFF_SECONDS = 20

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """A node that is wanted.

    Attributes:
        firewall: the backend that blocks; None takes the usual one of the image's release.
        stock_config: keep the distribution's redis.conf, which listens on loopback only.
        config_path: where the server's configuration file lies; None keeps Debian's place.
        user: who logs in; anyone but root gets sudo without a password, and root's login is closed.
        password: the server's requirepass.
        forwarding: whether sshd allows TCP forwarding.
        sentinel: a Sentinel that monitors nothing yet, beside the server or in its place.
    """

    name: str
    image: Image = "bookworm"
    server: Server = "redis"
    firewall: Firewall | None = None
    stock_config: bool = False
    config_path: str | None = None
    user: str = "root"
    password: str | None = None
    forwarding: bool = True
    sentinel: Sentinel = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(f"{self.name!r} is no host name: letters, digits and dashes only")
        for value, allowed in (
            (self.image, IMAGES),
            (self.server, SERVERS),
            (self.firewall, (*FIREWALLS, None)),
        ):
            if value not in allowed:
                raise LabError(f"{self.name}: {value!r} is none of {allowed}")
        if self.server == "valkey" and self.image != "trixie":
            raise LabError(f"{self.name}: only trixie has Valkey; add --image trixie")
        if self.server not in {"redis", "valkey"} and self.image != "bookworm":
            raise LabError(f"{self.name}: {self.server} runs on bookworm only")
        if self.config_path is not None and not self.config_path.startswith("/"):
            raise LabError(f"{self.name}: the configuration path must be absolute")

    @property
    def firewall_backend(self) -> Firewall:
        return self.firewall or ("iptables" if self.image == "bullseye" else "nftables")

    @property
    def service(self) -> Literal["redis", "valkey"]:
        """The name that Debian's unit, user and directories carry."""
        return "valkey" if self.server == "valkey" else "redis"

    @property
    def unit(self) -> str:
        return f"{self.service}-server.service"

    @property
    def sentinel_unit(self) -> str:
        return f"{self.service}-sentinel.service"

    @property
    def ports(self) -> tuple[int, ...]:
        """What the node answers on, the first one always."""
        server = () if self.sentinel == "alone" else (REDIS_PORT,)
        return (*server, *((SENTINEL_PORT,) if self.sentinel else ()))

    @property
    def stock_config_path(self) -> str:
        return f"/etc/{self.service}/{self.service}.conf"

    @property
    def sentinel_config_path(self) -> str:
        return f"/etc/{self.service}/sentinel.conf"


@dataclass(frozen=True, kw_only=True)
class LabNode:
    """A node as it is.

    Attributes:
        host_key: the fingerprint of its Ed25519 host key, ``SHA256:...``.
        identity: path of the private key that logs in.
    """

    name: str
    address: str
    image: str
    server: str
    state: State
    user: str
    ssh_port: int
    host_key: str
    identity: str
    firewall: str
    config_path: str
