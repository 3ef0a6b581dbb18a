"""A node while a run works on it: its connection, its facts, its server. No ORM in here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from addons.engine.step import State
from addons.pki.leaf import Issued
from instances.errors import DomainError
from instances.introduction import Introduction
from instances.neighbours import Neighbour
from instances.nodeconf.facts import NodeFacts, Program, ServerFacts
from instances.nodeconf.topology.known import Known
from instances.opening import open_server
from instances.reason import Reason
from instances.remote.errors import ServerRefused
from instances.remote.host import Host
from instances.remote.server import RedisClient
from instances.remote.ssh import SshTarget
from instances.runtime import RuntimeFacts, read_runtime
from instances.secret import Secret

WORKSPACES = "/var/lib/redoubt"


@dataclass(frozen=True, slots=True)
class NodeBrief:
    """What the database knows of a node, read before the threads begin.

    Args:
        target: How to log in; the refusal where that may not be tried.
        program: The server's program as it was last asked.
        baseline: The way back that earlier runs of this add-on recorded, by step; empty where the
            add-on is not installed.
        begun: What this run's earlier attempts recorded, by step.
        shares_machine: Whether other nodes are on the same machine.
        introduce: Makes the panel's client certificate for one connection.
        beside: The names of the servers among them that this run is about, too.
        fellows: The managed nodes of its group, itself among them, with what they last said.
        neighbours: The nodes of other groups that are in its cluster, by their ids there.
        certificates: The certificates issued to this node and not abandoned: by fingerprint the
            digest of the key's file, empty where that is not on record.
    """

    node: int
    name: str
    target: SshTarget | DomainError
    unit: str
    config_path: str
    program: Program | None
    client_addresses: tuple[str, ...]
    username: str
    password: Secret
    baseline: Mapping[str, State]
    begun: Mapping[str, State]
    certificates: Mapping[str, str]
    shares_machine: bool
    beside: tuple[str, ...]
    fellows: tuple[Known, ...]
    neighbours: Mapping[str, Neighbour]
    installation: int
    introduce: Introduction


@dataclass(slots=True)
class NodeSession:
    """One node, reached.

    Args:
        run: The run's id; 0 for a look outside any run.
        issued: Commits certificates' public parts, before their keys go to the node.
    """

    brief: NodeBrief
    host: Host
    run: int
    attempt: int
    facts: NodeFacts
    now: Callable[[], datetime]
    issued: Callable[[Sequence[Issued]], None]
    runtime: RuntimeFacts = field(default_factory=RuntimeFacts)
    _redis: RedisClient | None = None

    @property
    def name(self) -> str:
        """What people call the node."""
        return self.brief.name

    @property
    def server(self) -> ServerFacts:
        """The one server that the node is about."""
        return self.facts.server

    @property
    def workspace(self) -> str:
        """Where replaced files wait on the node until the run ends (root, 0700)."""
        return f"{WORKSPACES}/{self.run}/{self.brief.node}"

    def redis(self) -> RedisClient:
        """Return a connection to the server that answers, opened where there is none.

        Raises:
            RemoteError: The server does not answer, or refuses.
        """
        # A failed command closes the connection, and a server's timeout one that was idle.
        if self._redis is not None and not self._redis.alive():
            self.forget_server()
        if self._redis is None:
            self._redis = open_server(
                self.host,
                self.server,
                self.brief.username,
                self.brief.password,
                introduce=self.brief.introduce,
                runs_with=self.runtime.config,
                also=self.facts.ports_listened_on,
            )
        return self._redis

    def read_runtime(self) -> RuntimeFacts:
        """Ask the running server again, and remember the answer.

        A server that speaks TLS alone and wants a certificate cannot be asked: that is remembered.
        """
        try:
            self.runtime = read_runtime(self.redis(), self.server)
        except ServerRefused as refusal:
            if refusal.reason != "TlsOnly":
                raise
            reason = Reason(refusal.reason, str(refusal), refusal.next_step)
            self.runtime = RuntimeFacts(config_refused=reason)
        return self.runtime

    def runtime_changed(self, values: Mapping[str, str]) -> None:
        """Remember what the running server was told to have, without asking it again."""
        self.runtime = replace(self.runtime, config={**self.runtime.config, **values})

    def configuration_changed(self, content: bytes) -> None:
        """Remember what was written to the server's main configuration file."""
        config = replace(self.server.config, content=content)
        self.facts = replace(self.facts, server=replace(self.server, config=config))

    def forget_server(self) -> None:
        """Drop the connection to the server, as before a restart."""
        if self._redis is not None:
            self._redis.close()
            self._redis = None

    def close(self) -> None:
        """Close everything."""
        self.forget_server()
        self.host.close()
