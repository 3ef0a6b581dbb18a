"""A primary and two replicas that three Sentinels watch, and what those say."""

import time
from dataclasses import replace
from typing import Any

import redis
from redis.sentinel import Sentinel

from lab import NodeSpec
from tests.acceptance.outside import ping_plainly
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
    """Three Sentinels more, in the same group.

    Args:
        shared: Whether one of them is on the primary's machine.
        password: Of servers and Sentinels; none where it is empty.
    """

    def __init__(
        self, stage: Stage, kind: str, *, shared: bool = False, password: str = ""
    ) -> None:
        primary = {"sentinel": "beside"} if shared else {}
        super().__init__(stage, kind, primary=primary, password=password)
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
        lines = [
            f"sentinel monitor {MASTER} {self.stage.address('primary')} {PORT} {QUORUM}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} 10000",
        ]
        if self.password:
            lines += [f"sentinel auth-pass {MASTER} {self.quoted}", f"requirepass {self.quoted}"]
        path = f"/etc/{self.service}/sentinel.conf"
        added = "\n".join(lines)
        # What it wrote itself of the default user would win over requirepass.
        edit = f"sed -i '/^user default/d' {path}; echo '{added}' >>{path}"
        script = f"systemctl stop {self.unit}; {edit}; systemctl start {self.unit}"
        shell(self.stage.lab, self.machines[name], script)

    def _register(self) -> None:
        unit = f"{self.unit}.service"
        for name in SENTINELS:
            host = self.stage.hosts[name]
            node = self.stage.panel.register(host, group="fleet", unit=unit, password=self.password)
            assert node.is_sentinel, f"{name}: {node.fault}"
            assert not node.fault, f"{name}: {node.fault}"

    def ask(self, name: str, *words: str) -> Any:
        """Ask one Sentinel, on whichever transport it answers."""
        for options in ({}, {"ssl": True, "ssl_ca_certs": str(self.stage.root)}):
            try:
                return self._caller(name, **options).execute_command(*words)
            except redis.ConnectionError as error:
                failure = error
        raise AssertionError(f"{name} answers nowhere") from failure

    def _caller(self, name: str, **options: Any) -> "redis.Redis[bytes]":
        usual = {"protocol": 2, "socket_timeout": 5, "retry": NEVER, "password": self.password}
        return redis.Redis(self.stage.address(name), SENTINEL_PORT, **usual, **options)

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

    def is_plain(self) -> None:
        """Sentinels, and links between servers, speak plaintext, and all is as before."""
        self._is_whole(PORT, "no")
        assert all(self.stage.ping(name) == "+PONG" for name in NAMES)

    def is_encrypted(self) -> None:
        """Nobody speaks plaintext any more, and failover is on again."""
        self._is_whole(PORT, "yes")
        assert all(self.stage.speaks_tls(name, port=PORT) for name in NAMES)
        for name in SENTINELS:
            # It answers PING, not QUIT.
            assert self._caller(name, ssl=True, ssl_ca_certs=str(self.stage.root)).ping()
            assert ping_plainly(self.stage.address(name), SENTINEL_PORT) == "ConnectionResetError"
        for name in NAMES:
            assert ping_plainly(self.stage.address(name)) == "ConnectionResetError"

    def _is_whole(self, port: int, replicates: str) -> None:
        self.wait_for_quorum()
        for name in SENTINELS:
            assert self.ask(name, "SENTINEL", "CKQUORUM", MASTER).startswith(b"OK 3")
            told = self.masters(name)
            assert (told["down-after-milliseconds"], told["port"], told["flags"]) == (
                str(DOWN_AFTER_MS),
                str(port),
                "master",
            ), f"{name}: {told}"
        for name in NAMES:
            assert self.client(name).config_get("tls-replication")["tls-replication"] == replicates
            link = self.info(name, "replication").get("master_link_status", "up")
            assert link == "up"

    def follower(self) -> "Follower":
        """A client of the primary that asks the Sentinels where it is, and is connected."""
        follower = Follower(self)
        follower.set("place", "")
        return follower

    @property
    def primary(self) -> str:
        """Which server the Sentinels name."""
        address = self.masters(SENTINELS[0])["ip"]
        return next(name for name in NAMES if self.stage.address(name) == address)

    def failed_over(self) -> str:
        """Have the Sentinels choose another primary; return it once its replicas follow."""
        before = self.primary
        self.ask(SENTINELS[0], "SENTINEL", "FAILOVER", MASTER)
        # A former primary is told whom to follow after eight calm seconds (redis 7.0
        # src/sentinel.c, SENTINEL_PUBLISH_PERIOD * 4), which a busy machine makes many more.
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if self.primary != before and self._followed(self.primary):
                return self.primary
        told = {name: self.info(name, "replication") for name in NAMES}
        log = shell(self.stage.lab, SENTINELS[-1], f"tail -n 40 /var/log/{self.service}/*sentinel*")
        raise AssertionError(f"nobody took over from {before}: {told}\n{log}")

    def fails_over(self) -> None:
        """Fail over, and see that who asks the Sentinels writes to the next primary, for all."""
        now = self.failed_over()
        follower = self.follower()
        follower.set("place", now)
        self.wait_for(now)

    def tls_lines(self) -> list[str]:
        """What the Sentinels' files say of TLS, and what lies there for it."""
        place = f"/etc/{self.service}"
        look = f"grep '^tls' {place}/sentinel.conf || true; find {place} -name 'tls*'"
        told = [shell(self.stage.lab, self.machines[name], look) for name in SENTINELS]
        return "".join(told).splitlines()

    def _followed(self, name: str) -> bool:
        return all(
            self.info(each, "replication").get("master_link_status") == "up"
            for each in NAMES
            if each != name
        )


class Follower:
    """redis-py's Sentinel client, of an application that moves to TLS with its servers.

    It goes on over the transport that worked last. Plaintext is tried first: a TLS port ends it at
    once, while TLS on a plain port waits.
    """

    def __init__(self, group: Sentinels) -> None:
        secured = {"ssl": True, "ssl_ca_certs": str(group.stage.root)}
        places = [(group.stage.address(name), SENTINEL_PORT) for name in SENTINELS]
        self._password = group.password
        # Servers move before Sentinels do, there and back.
        ways = (({}, {}), (secured, {}), (secured, secured), ({}, secured))
        self._ways = [self._client(places, way, asked) for way, asked in ways]
        self._last = 0

    def _client(
        self, places: Any, way: dict[str, Any], asked: dict[str, Any]
    ) -> "redis.Redis[bytes]":
        usual = {"socket_timeout": 0.5, "retry": NEVER, "password": self._password}
        watch = Sentinel(places, sentinel_kwargs={**usual, **asked}, **usual, **way)
        return watch.master_for(MASTER)

    def set(self, key: str, value: int | str) -> None:
        error: Exception | None = None
        deadline = time.monotonic() + 20
        # A connection that was ended says nothing of the way: that is tried once more.
        again = True
        while time.monotonic() < deadline:
            try:
                self._ways[self._last].set(key, value)
            except redis.RedisError as failed:
                error, self._last = failed, (self._last + (not again)) % len(self._ways)
                again = False
            else:
                return
        raise error or AssertionError
