"""A cluster whose replicas are in an environment of their own, as in another region."""

import time

from addons.authorities import authority_share
from instances.services import environment_create
from tests.acceptance.panel import ANNA, Panel
from tests.acceptance.stage import Stage
from tests.acceptance.traffic import TLS_PORT
from tests.topology.cluster import BUS, PRIMARIES, REPLICAS, Cluster

ABROAD = "abroad"


class Regions(Cluster):
    """Three primaries here, registered, and three nodes that have met nobody yet."""

    def __init__(self, stage: Stage, kind: str) -> None:
        self.abroad = Panel(environment_create(actor=ANNA, name=ABROAD))
        super().__init__(stage, kind)

    def _join(self) -> None:
        self.created(PRIMARIES, replicas=0)
        self.stage.register(*PRIMARIES)

    def known_to(self, panel: Panel) -> None:
        """Register those who have met nobody yet."""
        for name in REPLICAS:
            node = panel.register(self.stage.hosts[name], group="fleet")
            assert not node.fault, f"{name}: {node.fault}"

    def share(self) -> None:
        """Register the servers abroad; they get certificates of the same authority."""
        self.known_to(self.abroad)
        here = self.stage.panel.environment
        authority_share(actor=ANNA, environment=self.abroad.environment, owner=here)

    def meet(self) -> None:
        """Join the two over TLS, and have each primary followed abroad."""
        for name in REPLICAS:
            self._ask(PRIMARIES[0], "MEET", self.stage.address(name), TLS_PORT, BUS)
        self._wait_until_met()
        for primary, replica in zip(PRIMARIES, REPLICAS, strict=True):
            self._ask(replica, "REPLICATE", self._id(primary))
        self.wait_until_whole()
        self.look()

    def part(self) -> None:
        """Take the nodes abroad out of the cluster again."""
        gone = [self._id(name) for name in REPLICAS]
        for name in REPLICAS:
            self._ask(name, "RESET")
        for name in PRIMARIES:
            for each in gone:
                self._ask(name, "FORGET", each)
        self.look()

    def look(self) -> None:
        """Let both environments look at their nodes."""
        for panel in (self.stage.panel, self.abroad):
            for name in panel.nodes:
                panel.look(name)

    def _wait_until_met(self) -> None:
        deadline = time.monotonic() + 30
        while any(len(self.seen(name)) < len(PRIMARIES + REPLICAS) for name in REPLICAS):
            assert time.monotonic() < deadline, self.ails()
            time.sleep(0.2)
        # A node is asked to follow only whom it knows by name.
        while any("handshake" in text for text in self.ails()):
            assert time.monotonic() < deadline, self.ails()
            time.sleep(0.2)

    def _id(self, name: str) -> str:
        return str(self._ask(name, "MYID").decode())

    def _ask(self, name: str, *words: str | int) -> bytes:
        answer: bytes = self.client(name).execute_command("CLUSTER", *words)
        return answer
