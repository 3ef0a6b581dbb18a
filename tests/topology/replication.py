"""A primary and its replicas, registered as one group, and what is seen of them from outside."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab import NodeSpec
from tests.acceptance.panel import said, succeeded, unchanged
from tests.acceptance.photograph import cli, shell
from tests.acceptance.stage import SPECS, Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.topology.writer import Written

KINDS = {
    "7.0": {},
    "6.2": {"server": "redis-6.2"},
    "8.0": {"image": "trixie"},
    "valkey": {"image": "trixie", "server": "valkey"},
    "6.0": {"image": "bullseye"},
}
NEVER = Retry(NoBackoff(), 0)
NAMES = ("primary", "replica-1", "replica-2")


class Replication:
    """One primary and two replicas, registered as one group.

    Args:
        primary: What is special about the primary's machine.
        password: That all of them ask for; none where it is empty.
    """

    def __init__(
        self,
        stage: Stage,
        kind: str,
        *,
        primary: Mapping[str, Any] | None = None,
        password: str = "",
    ) -> None:
        self.stage, self.service = stage, "valkey" if kind == "valkey" else "redis"
        self.password = password
        special = {"primary": primary or {}}
        for name in NAMES:
            usual = {"name": name, "password": password or None, **KINDS[kind]}
            SPECS[name] = NodeSpec(**usual, **special.get(name, {}))
        stage.hosts.update({node.name: node for node in stage.lab.up([SPECS[n] for n in NAMES])})
        if password:
            self._add("primary", f"masterauth {self.quoted}")
        for name in NAMES[1:]:
            self._follow(name)
        for name in NAMES[1:]:
            self.wait_for_link(name)
        stage.register(*NAMES)

    def _follow(self, name: str) -> None:
        lines = [f"replicaof {self.stage.address('primary')} {PORT}"]
        lines += [f"masterauth {self.quoted}"] if self.password else []
        self._add(name, *lines)

    @property
    def quoted(self) -> str:
        """The password as files have it."""
        escaped = self.password.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    def _add(self, name: str, *lines: str) -> None:
        unit = f"{self.service}-server"
        path = f"/etc/{self.service}/{self.service}.conf"
        added = "\n".join(lines)
        shell(self.stage.lab, name, f"echo '{added}' >>{path}; systemctl restart {unit}")

    def info(self, name: str, section: str) -> dict[str, str]:
        told = self.client(name).info(section)
        return {key: str(value) for key, value in told.items()}

    def client(self, name: str) -> "redis.Redis[bytes]":
        """A client on whichever port answers."""
        address = self.stage.address(name)
        # Twice: a Sentinel ends the connections to whom it demotes.
        for options in (*self._ways(), *self._ways()):
            client = redis.Redis(
                address, password=self.password, socket_timeout=5, retry=NEVER, **options
            )
            try:
                client.ping()
            except redis.RedisError:
                continue
            return client
        raise AssertionError(f"{name} answers nowhere")

    def _ways(self) -> Iterator[dict[str, object]]:
        yield {"port": PORT}
        # What no rule opens is dropped, and waited for.
        for port in (PORT, TLS_PORT):
            yield {"port": port, "ssl": True, "ssl_ca_certs": str(self.stage.root)}

    def in_plaintext(self, **options: Any) -> "redis.Redis[bytes]":
        """A client that knows the primary's plain port."""
        return redis.Redis(self.stage.address("primary"), PORT, socket_timeout=5, **options)

    def over_tls(self, port: int = TLS_PORT) -> "redis.Redis[bytes]":
        """A client of the primary that is connected already: a handshake is no pause."""
        secured = {"ssl": True, "ssl_ca_certs": str(self.stage.root)}
        client = redis.Redis(self.stage.address("primary"), port, socket_timeout=5, **secured)
        client.ping()
        return client

    def wait_for_link(self, name: str) -> None:
        for _ in range(100):
            told = cli(self.stage.lab, name, "INFO", "replication", password=self.password)
            if "master_link_status:up" in told:
                return
            shell(self.stage.lab, name, "sleep 0.1")
        raise AssertionError(f"{name} does not follow: {told}")

    @property
    def links(self) -> list[tuple[str, str]]:
        """Port and state of each replica's link."""
        told = [self.info(name, "replication") for name in NAMES[1:]]
        return [(each["master_port"], each["master_link_status"]) for each in told]

    @property
    def full_syncs(self) -> int:
        """Of all of them, whoever was the primary then."""
        return sum(int(self.info(name, "stats")["sync_full"]) for name in NAMES)

    @property
    def roles(self) -> dict[str, str]:
        """The role of each server, by name."""
        return {name: self.info(name, "replication")["role"] for name in NAMES}

    def configured(self, **settings: str) -> list[str]:
        run = succeeded(self.stage.panel.run("primary", "configure", settings))
        assert unchanged(self.stage.panel.run("primary", "configure", settings))
        return said(run)

    def wait_for(self, value: str) -> None:
        """Wait until each replica has the value."""
        for name in NAMES[1:]:
            client = self.client(name)
            for _ in range(200):
                if client.get("place") == value.encode():
                    break
                time.sleep(0.02)
            else:
                raise AssertionError(f"{name} has not got {value}")

    def has_all(self, written: Written) -> None:
        """Each write that was acknowledged is on every server."""
        for name in NAMES:
            client = self.client(name)
            for _ in range(50):
                if client.mget(written.keys) == written.values:
                    break
                time.sleep(0.1)
            else:
                raise AssertionError(f"{name} lacks writes")
