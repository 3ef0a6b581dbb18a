"""A lab: start nodes, break them, look into them, take them down."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from lab import cgroups, kernel
from lab.commands import LabError, require_programs
from lab.creation import create_client_key, create_node
from lab.images import ensure_layers
from lab.inside import enter
from lab.launch import kill_node, launch
from lab.network import LabNetwork
from lab.readiness import wait_ready
from lab.spec import POWER_OFF_SECONDS, SSH_PORT, LabNode, NodeSpec, State
from lab.state import LabFiles, NodeFiles, allocate_subnet, release_subnet

_AT_ONCE = 32
_LAST_NODE = 250


class Lab:
    """Real hosts on a bridge of their own; labs with different names do not meet."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or os.environ.get("REDOUBT_LAB_NAME", "lab")
        self._files = LabFiles(self.name)

    def up(self, specs: Sequence[NodeSpec]) -> list[LabNode]:
        """Make the nodes, or start those that exist, and return when each answers."""
        _require_host()
        for spec in {(spec.image, spec.server, spec.firewall): spec for spec in specs}.values():
            ensure_layers(spec)
        with self._files.lock():
            self._files.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            create_client_key(self._files.identity)
            network = LabNetwork(allocate_subnet(self.name))
            network.raise_bridge()
            made = [self._create(spec, network) for spec in specs]
            kernel.raise_limits(len(self._files.nodes()))
        self._each(made, self._start)
        return [self._describe(node) for node in made]

    def nodes(self) -> list[LabNode]:
        return [self._describe(node) for node in self._files.nodes()]

    def exec(
        self,
        name: str,
        argv: Sequence[str],
        input: bytes | None = None,  # noqa: A002 - as subprocess.run names it
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command as root in the node, through its namespaces and not the network."""
        command = self.exec_command(name, argv)
        try:
            return subprocess.run(
                command, input=input, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{name}: {argv[0]} did not end within {timeout:.0f} s") from error

    def exec_command(self, name: str, argv: Sequence[str]) -> list[str]:
        """The argument list on this machine that runs ``argv`` in the node."""
        return enter(self._node(name), list(argv))

    def stop(self, name: str) -> None:
        """Power the node off cleanly."""
        node = self._node(name)
        supervisor = node.process("supervisor")
        if supervisor:
            supervisor.send(signal.SIGTERM)
            supervisor.wait_gone(timeout=POWER_OFF_SECONDS + 5)
        kill_node(node)
        node.cut.unlink(missing_ok=True)

    def start(self, name: str) -> None:
        """Boot a stopped node and wait until it answers."""
        self._start(self._node(name))

    def reboot(self, name: str) -> None:
        """Reboot from inside, and wait until the node answers again."""
        node = self._node(name)
        before = node.process("container")
        command = enter(node, ["systemctl", "--no-block", "reboot"])
        # The order may take its own messenger down.
        subprocess.run(command, capture_output=True, timeout=30, check=False)
        if before and not before.wait_gone(timeout=POWER_OFF_SECONDS + 10):
            raise LabError(f"{name} did not go down to reboot; see {node.log}")
        self._wait(node)

    def cut(self, name: str) -> None:
        """Pull the node's cable: it runs on, out of reach."""
        node = self._node(name)
        if node.process("supervisor") is None:
            raise LabError(f"{name} does not run, so there is nothing to cut")
        node.cut.touch()
        self._network().connect(node.index(), connected=False)

    def mend(self, name: str) -> None:
        """Plug the node's cable in again."""
        node = self._node(name)
        node.cut.unlink(missing_ok=True)
        if node.process("supervisor"):
            self._network().connect(node.index(), connected=True)

    def down(self, names: Iterable[str] | None = None) -> None:
        """Remove the nodes and their disks; with the last one, the whole lab.

        Works after a predecessor was killed, too: what it left is known by recorded processes,
        control groups and interface names.
        """
        with self._files.lock():
            everything = [NodeFiles(path) for path in (self._files.root / "nodes").glob("*")]
            gone = everything if names is None else [self._node(name) for name in names]
            self._each(gone, _remove)
            if not [node for node in everything if node.root.exists()]:
                self._remove_lab()

    def _remove_lab(self) -> None:
        if self._files.root.exists():
            self._network().remove_bridge()
            cgroups.remove(f"{cgroups.ALL_LABS}/{self.name}")
            cgroups.remove_if_empty(cgroups.ALL_LABS)
            shutil.rmtree(self._files.root)
        release_subnet(self.name)

    def _network(self) -> LabNetwork:
        return LabNetwork(allocate_subnet(self.name))

    def _node(self, name: str) -> NodeFiles:
        node = self._files.node(name)
        node.read_settings()
        return node

    def _create(self, spec: NodeSpec, network: LabNetwork) -> NodeFiles:
        node = self._files.node(spec.name)
        if not node.settings.exists():
            taken = {made.index() for made in self._files.nodes()}
            index = next(n for n in range(1, _LAST_NODE + 1) if n not in taken)
            kill_node(node)
            create_node(node, spec, lab=self._files, network=network, index=index)
        elif node.read_settings()["spec"] != asdict(spec) | {"password": None}:
            raise LabError(f"{spec.name} exists already with other options; take it down first")
        return node

    def _start(self, node: NodeFiles) -> None:
        if node.process("supervisor") is None:
            self._network().raise_bridge()
            launch(node)
        self._wait(node)

    def _wait(self, node: NodeFiles) -> None:
        settings = node.read_settings()
        spec = settings["spec"]
        outside = not spec["stock_config"] and not node.cut.exists()
        # sshd does not wait for firewalld, which is "active" before its rules are in force.
        guarded = ("firewall-cmd", "--state") if spec["firewall"] == "firewalld" else ()
        address = self._network().address(settings["index"])
        port = NodeSpec(**spec).ports[0]
        wait_ready(node, address, port, outside=outside, guarded=guarded)

    def _each(self, nodes: Iterable[NodeFiles], act: Callable[[NodeFiles], None]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(act, nodes))

    def _describe(self, node: NodeFiles) -> LabNode:
        settings = node.read_settings()
        return LabNode(
            **settings["node"],
            state=_state(node),
            ssh_port=SSH_PORT,
            identity=str(self._files.identity),
        )


def _state(node: NodeFiles) -> State:
    if node.process("supervisor") is None:
        return "stopped"
    return "cut" if node.cut.exists() else "running"


def _remove(node: NodeFiles) -> None:
    kill_node(node)
    shutil.rmtree(node.root)


def _require_host() -> None:
    if os.geteuid() != 0:
        raise LabError("The lab boots systems: run it as root")
    require_programs("systemd-nspawn", "ip", "ssh-keygen", "nsenter", "setpriv", "unshare")
