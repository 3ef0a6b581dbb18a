"""A primary and two replicas that three Sentinels watch, and what those say."""

import time
from dataclasses import replace
from typing import Any

import redis
from redis.sentinel import Sentinel

from lab import NodeSpec
from tests.acceptance.photograph import shell
from tests.acceptance.stage import SPECS, Stage
from tests.acceptance.traffic import PORT
from tests.topology.replication import KINDS, NAMES, NEVER, Replication

MASTER = "mymaster"
SENTINEL_PORT = 26379
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
DOWN_AFTER_MS = 3000
QUORUM = 2


class Sentinels(Replication):
    """Three Sentinels more, in the same group; with ``shared`` one is on the primary's machine."""

    def __init__(self, stage: Stage, kind: str, *, shared: bool = False) -> None:
        primary = {"sentinel": "beside"} if shared else {}
        super().__init__(stage, kind, primary=primary)
        self.unit = f"{self.service}-sentinel"
        alone = SENTINELS[1:] if shared else SENTINELS
        for name in alone:
            SPECS[name] = NodeSpec(name=name, sentinel="alone", **KINDS[kind])
        stage.hosts.update({node.name: node for node in stage.lab.up([SPECS[n] for n in alone])})
        self.machines = {name: name for name in alone}
        if shared:
            self.machines[SENTINELS[0]] = "primary"
            stage.hosts[SENTINELS[0]] = replace(stage.hosts["primary"], name=SENTINELS[0])
        for name in SENTINELS:
            self._watch(name)
        self.wait_for_quorum()
        self._register()

    def _watch(self, name: str) -> None:
        lines = (
            f"sentinel monitor {MASTER} {self.stage.address('primary')} {PORT} {QUORUM}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} 10000",
        )
        path = f"/etc/{self.service}/sentinel.conf"
        added = "\n".join(lines)
        script = f"systemctl stop {self.unit}; echo '{added}' >>{path}; systemctl start {self.unit}"
        shell(self.stage.lab, self.machines[name], script)

    def _register(self) -> None:
        unit = f"{self.unit}.service"
        for name in SENTINELS:
            node = self.stage.panel.register(self.stage.hosts[name], group="fleet", unit=unit)
            assert not node.fault, f"{name}: {node.fault}"

    def ask(self, name: str, *words: str) -> Any:
        """Ask one Sentinel, on whichever transport it answers."""
        address = self.stage.address(name)
        for options in ({}, {"ssl": True, "ssl_ca_certs": str(self.stage.root)}):
            client = redis.Redis(address, SENTINEL_PORT, protocol=2, retry=NEVER, **options)
            try:
                return client.execute_command(*words)
            except redis.ConnectionError:
                continue
        raise AssertionError(f"{name} answers nowhere")

    def masters(self, name: str) -> dict[str, str]:
        """What a Sentinel says of the primary that it watches."""
        words = [word.decode() for word in self.ask(name, "SENTINEL", "MASTER", MASTER)]
        return dict(zip(words[::2], words[1::2], strict=True))

    def wait_for_quorum(self) -> None:
        """Wait until each Sentinel knows both replicas and its fellows."""
        for name in SENTINELS:
            for _ in range(200):
                told = self.masters(name)
                if (told["num-slaves"], told["num-other-sentinels"]) == ("2", "2"):
                    break
                time.sleep(0.1)
            else:
                raise AssertionError(f"{name} does not know them all: {told}")

    def sentinel_client(self, **options: Any) -> "redis.Redis[bytes]":
        """A client of the primary that asks the Sentinels where it is."""
        places = [(self.stage.address(name), SENTINEL_PORT) for name in SENTINELS]
        return Sentinel(
            places, sentinel_kwargs={"socket_timeout": 2, **options}, socket_timeout=5, **options
        ).master_for(MASTER)

    @property
    def primary(self) -> str:
        """Which server the Sentinels name."""
        address = self.masters(SENTINELS[0])["ip"]
        return next(name for name in NAMES if self.stage.address(name) == address)

    def failed_over(self) -> str:
        """Have the Sentinels choose another primary; return it once its replicas follow."""
        before = self.primary
        self.ask(SENTINELS[0], "SENTINEL", "FAILOVER", MASTER)
        for _ in range(300):
            time.sleep(0.1)
            if self.primary != before and self._followed(self.primary):
                return self.primary
        raise AssertionError(f"nobody took over from {before}")

    def _followed(self, name: str) -> bool:
        return all(
            self.info(each, "replication").get("master_link_status") == "up"
            for each in NAMES
            if each != name
        )
