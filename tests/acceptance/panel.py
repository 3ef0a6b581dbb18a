"""The panel as a person uses it: the services behind its pages and commands, in this process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from addons.models import NodeInstallation, Run
from addons.runs.drive import run_drive
from addons.runs.services import run_create
from instances.audit import Actor
from instances.looks import node_look
from instances.models import Credential, Environment, Node
from instances.secret import Secret
from instances.services import (
    NodeRequest,
    credential_create,
    environment_create,
    group_create,
    node_register,
)
from lab import LabNode

ANNA = Actor(None, "anna", "test")


@dataclass
class Panel:
    """Registers lab nodes and runs the encryption add-on on their groups.

    A group is meant by any of its nodes.
    """

    environment: Environment
    nodes: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def create(cls) -> "Panel":
        return cls(environment_create(actor=ANNA, name="acceptance"))

    def register(
        self,
        host: LabNode,
        *,
        group: str = "",
        username: str = "",
        password: str = "",
        unit: str = "",
    ) -> Node:
        """Register a node, with the fingerprint of its host key, and look at it.

        It gets a group of its own where none is named.
        """
        if not Credential.objects.filter(name="lab").exists():
            key = Secret(Path(host.identity).read_text())
            credential_create(actor=ANNA, name="lab", private_key=key)
        request = NodeRequest(
            address=host.address,
            name=host.name,
            user=host.user,
            credential="lab",
            host_key=host.host_key,
            unit=unit,
            server_username=username,
            server_password=Secret(password),
        )
        name = group or host.name
        found = self.environment.groups.filter(name=name).first()
        found = found or group_create(actor=ANNA, environment=self.environment, name=name)
        self.nodes[host.name] = node_register(actor=ANNA, group=found, request=request)
        return self.look(host.name)

    def look(self, name: str) -> Node:
        """Look at the node again."""
        node = self.nodes[name]
        node_look(node=node.pk)
        node.refresh_from_db()
        return node

    def run(
        self, name: str, action: str, settings: Mapping[str, str], *, confirmed: bool = True
    ) -> Run:
        """Carry an action out, to its end."""
        run = self.ask(name, action, settings, confirmed=confirmed)
        run_drive(run=run.pk)
        run.refresh_from_db()
        return run

    def ask(
        self, name: str, action: str, settings: Mapping[str, str], *, confirmed: bool = True
    ) -> Run:
        """Ask for an action on a node's group, which no worker carries out yet."""
        return run_create(
            actor=ANNA,
            group=self.nodes[name].group,
            addon="encryption",
            action=action,
            settings=settings,
            confirmed=confirmed,
        )

    def preview(self, name: str, **settings: str) -> Run:
        return self.run(name, "install", settings, confirmed=False)

    def try_install(self, name: str, **settings: str) -> Run:
        return self.run(name, "install", settings)

    def install(self, name: str, **settings: str) -> Run:
        return succeeded(self.run(name, "install", settings))

    def uninstall(self, name: str, **settings: str) -> Run:
        return succeeded(self.run(name, "uninstall", settings))

    def reissue(self, name: str) -> Run:
        return succeeded(self.run(name, "reissue", {}))

    def installed(self, name: str) -> NodeInstallation:
        return NodeInstallation.objects.get(node=self.nodes[name])

    def tag(self, name: str) -> str:
        """What the tags of the node's firewall rules begin with."""
        return f"redoubt:encryption:{self.nodes[name].pk}:"

    def root_certificate(self, directory: Path) -> Path:
        """Write what clients are to trust, as ``authority export`` prints it."""
        path = directory / "root.crt"
        links = self.environment.authority_links.select_related("authority")
        path.write_text("".join(link.authority.certificate for link in links))
        return path


def succeeded(run: Run) -> Run:
    assert run.state == Run.State.SUCCEEDED, f"{run}: {run.state} {run.failure} {said(run)}"
    return run


def said(run: Run, *kinds: str) -> list[str]:
    """What a run's records say, all of them or those of these kinds."""
    records = run.records.filter(kind__in=kinds) if kinds else run.records.all()
    return [f"{record.kind} {record.step}: {record.says}" for record in records]


def unchanged(run: Run) -> bool:
    """Whether a run changed nothing, and says so of each node."""
    states = set(succeeded(run).nodes.values_list("state", flat=True))
    return states == {"unchanged"} and not said(run, "before", "applied", "undone")


def verified_from(run: Run) -> dict[str, str]:
    """From where each node was verified, ``the panel`` or ``the node``."""
    records = run.records.filter(kind="verified", says__contains=" TLSv1.").select_related("node")
    return {
        str(record.node): "the node" if "on the node" in record.says else "the panel"
        for record in records
    }


def refused(run: Run) -> str:
    """The reason code of a run that was refused before it touched anything."""
    assert run.state == Run.State.REFUSED, f"{run}: {run.state} {run.failure} {said(run)}"
    assert not said(run, "before", "applied")
    assert run.failure["message"]
    assert run.failure["next_step"], f"{run.failure} names no next step"
    return str(run.failure["reason"])


def warnings(run: Run) -> Mapping[str, str]:
    """The warnings of a run's previews, message by code."""
    rows = run.nodes.all()
    return {each["code"]: each["message"] for row in rows for each in row.preview["warnings"]}
