"""What is known of one node, and what a person can do about what is not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from addons.catalogue import addon_named
from addons.models import Certificate, NodeInstallation, Run, RunNode
from addons.selectors import certificates_of
from instances.models import Node
from instances.remote.host_key import fingerprint
from panel.pages.changed import Change, changes_on
from panel.pages.drift import Drift, drift_shown
from panel.pages.names import action_title
from panel.pages.plaintext import NodePlaintext, node_plaintext
from panel.pages.state import Shown, node_shown, row_shown, run_node_shown, worded

POLLING, STOP_POLLING = 200, 286
RUNS = 8
CERTIFICATES = 6
_OTHER_KEY = frozenset({"HostKeyChanged", "HostKeyDiffers"})
PATIENCE = timedelta(seconds=90)
"""How long a page waits for a look that was asked for."""


@dataclass(frozen=True, slots=True)
class NodePage:
    """One node.

    Args:
        fingerprint: Of the host key that the machine showed; empty before.
        cause: Why the last look failed, in a few words; empty where it did not.
        other_key: Whether it failed because the machine shows another host key than expected.
        facts: Label and value.
        changes: What Redoubt has changed on the node and would put back.
        plaintext: Who speaks plaintext to it; None where nobody looks.
        pending: Whether a look has not come back: the page asks again by itself.
    """

    node: Node
    shown: Shown
    fingerprint: str
    to_confirm: bool
    to_paste: bool
    cause: str
    other_key: bool
    facts: Sequence[tuple[str, str]]
    problems: Sequence[str]
    installed: Sequence[tuple[str, NodeInstallation, Shown, Drift | None]]
    changes: Sequence[Change]
    certificates: Sequence[Certificate]
    runs: Sequence[tuple[Run, str, Shown]]
    plaintext: NodePlaintext | None
    pending: bool

    @property
    def poll_status(self) -> int:
        """Return the status that lets htmx go on, or stops it."""
        return POLLING if self.pending else STOP_POLLING


def node_page(node: Node, *, asked: datetime | None, now: datetime) -> NodePage:
    """Collect a node's page.

    Args:
        node: From `instances.selectors.node_numbered`.
        asked: When the viewer asked for a look; None if not.
        now: The present time.
    """
    machine = node.machine
    to_confirm = bool(machine.host_key) and machine.host_key_confirmed_at is None
    never_in = node.facts_at is None
    cause = str(node.fault.get("reason", ""))
    rows = _rows(node)
    return NodePage(
        node=node,
        shown=node_shown(node),
        fingerprint=fingerprint(machine.host_key) if machine.host_key else "",
        to_confirm=to_confirm,
        to_paste=never_in,
        cause=worded(cause),
        other_key=cause in _OTHER_KEY,
        facts=facts_shown(node.facts),
        problems=[str(each) for each in _part(node.facts, "server").get("problems", ())],
        installed=_installed(rows),
        changes=changes_on(node, rows),
        certificates=list(certificates_of(node)[:CERTIFICATES]),
        runs=_runs(node),
        plaintext=node_plaintext(node, now),
        pending=_pending(node, asked, now),
    )


def _pending(node: Node, asked: datetime | None, now: datetime) -> bool:
    """Say whether a look is on its way: one that was asked for, or the first one."""
    since = asked or (node.created_at if node.looked_at is None else None)
    if since is None or now - since > PATIENCE:
        return False
    return node.looked_at is None or node.looked_at < since


def facts_shown(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what was seen on a node as label and value; what was not seen is left out."""
    server, firewall = _part(facts, "server"), _part(facts, "firewall")
    runtime = _part(facts, "runtime")
    config = _part(server, "config")
    watches = bool(server.get("sentinel"))
    # No Sentinel knows CONFIG.
    refused = {} if watches else _part(runtime, "config_refused")
    renamed = server.get("renamed_commands") or ()
    shown = [
        ("Server", f"{str(server.get('product', '')).capitalize()} {server.get('version', '')}"),
        ("Role", "Sentinel" if watches else str(runtime.get("role", ""))),
        ("Clients connected", str(runtime.get("clients", ""))),
        ("TLS support", _yes_no(server.get("tls_supported"), server.get("tls_reason"))),
        ("Port", str(server.get("port", ""))),
        ("TLS port", str(server.get("tls_port") or "none")),
        ("Listens on", " ".join(server.get("bind") or ())),
        ("Protected mode", str(server.get("protected_mode", ""))),
        ("Password", _yes_no(server.get("requires_password"), yes="asked for", no="not asked for")),
        ("Renamed commands", ", ".join(renamed)),
        ("CONFIG", str(refused.get("message", ""))),
        ("Configuration", str(config.get("path", ""))),
        ("Unit", str(server.get("unit", ""))),
        ("Runs as", str(server.get("user", ""))),
        ("Firewall", str(firewall.get("backend") or firewall.get("reason", ""))),
        ("System", str(_part(facts, "os").get("name", ""))),
        ("Kernel", str(facts.get("kernel", ""))),
    ]
    return [(label, value) for label, value in shown if value.strip()] if facts else []


def _part(facts: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = facts.get(key)
    return part if isinstance(part, dict) else {}


def _yes_no(value: object, why: object = "", *, yes: str = "yes", no: str = "no") -> str:
    if value is None:
        return f"unknown{f': {why}' if why else ''}"
    return yes if value else no + (f": {why}" if why else "")


def _rows(node: Node) -> list[NodeInstallation]:
    return list(NodeInstallation.objects.filter(node=node).select_related("installation"))


def _installed(
    rows: Iterable[NodeInstallation],
) -> list[tuple[str, NodeInstallation, Shown, Drift | None]]:
    return [
        (
            addon_named(row.installation.addon).title,
            row,
            row_shown(row, row.installation),
            drift_shown(row),
        )
        for row in rows
        if row.installation.generation
    ]


def _runs(node: Node) -> list[tuple[Run, str, Shown]]:
    rows = (
        RunNode.objects.filter(node=node)
        .exclude(run__state=Run.State.DISCARDED)
        .select_related("run__installation")
        .order_by("-run_id")[:RUNS]
    )
    return [(row.run, action_title(row.run), run_node_shown(row, row.run)) for row in rows]
