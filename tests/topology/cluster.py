"""A cluster of three shards, registered as one group, and what is seen of it from outside."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

from lab import NodeSpec
from tests.acceptance.panel import said, succeeded, unchanged
from tests.acceptance.photograph import shell
from tests.acceptance.stage import SPECS, Stage, at_once
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.topology.replication import KINDS, NEVER
from tests.topology.wiretap import Heard, listening
from tests.topology.writer import Written

PRIMARIES = ("cluster-1", "cluster-2", "cluster-3")
REPLICAS = ("cluster-4", "cluster-5", "cluster-6")
NAMES = (*PRIMARIES, *REPLICAS)
BUS = PORT + 10000
NODE_TIMEOUT_MS = 5000

# As an operator opens the bus: in the file that is loaded at boot, and in force.
_OPEN_BUS = (
    f"sed -i 's/dport {{ 22, {PORT} }}/dport {{ 22, {PORT}, {BUS} }}/' /etc/nftables.conf && "
    "nft -f /etc/nftables.conf"
)


class Cluster:
    """Three primaries with a replica each, registered as one group.

    Args:
        stage: Where it is.
        kind: Which server.
        password: That clients and replicas need; none where it is empty.
    """

    def __init__(self, stage: Stage, kind: str, *, password: str = "") -> None:
        self.stage, self.service = stage, "valkey" if kind == "valkey" else "redis"
        self.password = password or None
        for name in NAMES:
            SPECS[name] = NodeSpec(name=name, password=self.password, **KINDS[kind])
        stage.hosts.update({node.name: node for node in stage.lab.up([SPECS[n] for n in NAMES])})
        at_once(self._enable, NAMES)
        self._join()

    def _join(self) -> None:
        self.created(NAMES, replicas=1)
        self.wait_until_whole()
        self.stage.register(*NAMES)

    def created(self, names: Sequence[str], *, replicas: int) -> None:
        """Have redis-cli make a cluster of these nodes."""
        places = " ".join(f"{self.stage.address(name)}:{PORT}" for name in names)
        self.cli(names[0], f"--cluster create {places} --cluster-replicas {replicas} --cluster-yes")

    def _enable(self, name: str) -> None:
        lines = f"cluster-enabled yes\\ncluster-node-timeout {NODE_TIMEOUT_MS}"
        if self.password:
            lines += f"\\nmasterauth {self.password}"
        path = f"/etc/{self.service}/{self.service}.conf"
        unit = f"systemctl restart {self.service}-server"
        shell(self.stage.lab, name, f"{_OPEN_BUS} && printf '{lines}\\n' >>{path} && {unit}")

    def cli(self, name: str, words: str) -> str:
        """Say something to a node in plaintext, on its own machine."""
        login = f"REDISCLI_AUTH={self.password}" if self.password else ""
        return shell(self.stage.lab, name, f"{login} {self.service}-cli -p {PORT} {words}")

    def client(self, name: str) -> "redis.Redis[bytes]":
        """A client of one node alone, on whichever port answers."""
        address = self.stage.address(name)
        for options in self._ways():
            client = redis.Redis(address, socket_timeout=5, retry=NEVER, **options)
            try:
                client.ping()
            except redis.RedisError:
                continue
            return client
        raise AssertionError(f"{name} answers nowhere")

    def _ways(self) -> Iterator[dict[str, Any]]:
        yield {"port": PORT, "password": self.password}
        # A port that a firewall drops costs a timeout: the plain one is never dropped.
        for port in (PORT, TLS_PORT):
            yield {"port": port, "password": self.password, **self._trusting()}

    def _trusting(self) -> dict[str, Any]:
        return {"ssl": True, "ssl_ca_certs": str(self.stage.root)}

    def knowing_now(self) -> "RedisCluster[bytes]":
        """A client that knows the topology, by whichever way there is."""
        way = self.client(NAMES[0]).connection_pool.connection_kwargs
        return self.knowing(port=way["port"], tls="ssl_ca_certs" in way)

    def knowing(self, *, port: int = PORT, tls: bool = False) -> "RedisCluster[bytes]":
        """A client that knows the topology, and is told of the primaries."""
        nodes = [ClusterNode(self.stage.address(name), port) for name in PRIMARIES]
        retry = Retry(ConstantBackoff(0.05), 20)
        options = {"password": self.password, **(self._trusting() if tls else {})}
        client = RedisCluster(startup_nodes=nodes, socket_timeout=5, retry=retry, **options)
        # It is connected to each of them: a first handshake is no pause.
        client.ping(target_nodes=RedisCluster.PRIMARIES)
        return client

    def info(self, name: str, section: str) -> dict[str, str]:
        told = self.client(name).info(section)
        return {key: str(value) for key, value in told.items()}

    def setting(self, name: str, directive: str) -> str:
        return str(self.client(name).config_get(directive)[directive])

    def seen(self, name: str) -> dict[str, dict[str, Any]]:
        """What a node says of each member, by address: redis-py's parsing of CLUSTER NODES."""
        told = self.client(name).execute_command("CLUSTER NODES")
        return dict(told)

    @property
    def roles(self) -> dict[str, str]:
        """The role of each node, by name."""
        return {name: self.info(name, "replication")["role"] for name in NAMES}

    @property
    def followed(self) -> set[int]:
        """The ports on which replicas follow."""
        told = (self.info(name, "replication") for name in NAMES)
        return {int(each["master_port"]) for each in told if each["role"] == "slave"}

    @property
    def full_syncs(self) -> int:
        return sum(int(self.info(name, "stats")["sync_full"]) for name in NAMES)

    def ails(self) -> list[str]:
        """What is not well, by each node's own telling; nothing where all is."""
        told = []
        for name in NAMES:
            client = self.client(name)
            if client.cluster("INFO")["cluster_state"] != "ok":
                told.append(f"{name}: its cluster is not ok")
            for place, member in self.seen(name).items():
                if not member["connected"] or {"fail", "fail?", "handshake"} & set(
                    member["flags"].split(",")
                ):
                    told.append(f"{name}: {place} {json.dumps(member)}")
            link = client.info("replication").get("master_link_status", "up")
            if link != "up":
                told.append(f"{name}: its link is {link}")
        return told

    def wait_until_whole(self, seconds: float = 30) -> None:
        """Wait until every node sees every other, and all slots are served."""
        deadline = time.monotonic() + seconds
        while ails := self.ails():
            assert time.monotonic() < deadline, ails
            time.sleep(0.2)

    def restart(self, name: str) -> None:
        shell(self.stage.lab, name, f"systemctl restart {self.service}-server")

    def overheard(self, act: Callable[[], object] = lambda: None) -> Heard:
        """What others on the network hear for a while, in which every link of the bus is used."""
        with listening(self.stage.address(NAMES[0])) as heard:
            act()
            time.sleep(NODE_TIMEOUT_MS / 2000 + 0.5)
        return heard

    def configured(self, **settings: str) -> list[str]:
        run = succeeded(self.stage.panel.run(NAMES[0], "configure", settings))
        assert unchanged(self.stage.panel.run(NAMES[0], "configure", settings))
        return said(run)

    def has_all(self, written: Written) -> None:
        """The cluster is whole, and each write that was acknowledged is there, on replicas too."""
        self.wait_until_whole()
        assert self.knowing_now().mget_nonatomic(written.keys) == written.values
        deadline = time.monotonic() + 10
        # A replica has as many keys as its primary, so sorted counts come in pairs.
        while (counts := self._key_counts())[::2] != counts[1::2]:
            assert time.monotonic() < deadline, f"replicas lack writes: {counts}"
            time.sleep(0.1)

    def _key_counts(self) -> list[int]:
        return sorted(int(self.client(name).dbsize()) for name in NAMES)
