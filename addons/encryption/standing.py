"""What plans of installs and of uninstalls have in common: what is, and was, on a node."""

from dataclasses import replace

from addons.encryption.binding import loopback_only
from addons.encryption.history import History
from addons.encryption.layout import Layout
from addons.encryption.plan import Served
from addons.encryption.spec import EncryptionSpec
from addons.encryption.steps.certificate import IssueCertificates, RemoveCertificates
from addons.encryption.steps.firewall import stored_rule
from addons.encryption.wanted import Wanted, directory_of, wanted_of
from addons.session import NodeSession
from instances.nodeconf.firewall import Rule


def tag_prefix(node: int) -> str:
    """Return what all firewall tags of the add-on on a node begin with."""
    return f"redoubt:encryption:{node}:"


def wanted_on(session: NodeSession, spec: EncryptionSpec, history: History) -> Wanted:
    """Return what a node should come to with these settings."""
    return wanted_of(
        spec,
        session.facts,
        session.runtime,
        addresses=session.brief.client_addresses,
        prefix=tag_prefix(session.brief.node),
        history=history,
    )


def own_directory(spec: EncryptionSpec, session: NodeSession) -> EncryptionSpec:
    """Return the spec with a directory of the node's own, where several share the machine."""
    if spec.directory or not session.brief.shares_machine:
        return spec
    usual = directory_of(spec, session.server)
    state = session.brief.baseline.get("certificate") or session.brief.begun.get("certificate")
    own = str(state["directory"]) if state else f"{usual}-{session.server.port}"
    return replace(spec, directory=own)


def goes_live(session: NodeSession, *, wish: bool) -> bool:
    """Say whether the plan is the live one: a takeover goes on as its predecessor began.

    The restart itself can change what `can_apply_live` sees.
    """
    begun = session.brief.begun
    return "runtime" in begun or (wish and "restart" not in begun)


def served_before(
    session: NodeSession, former: EncryptionSpec | None, history: History
) -> Served | None:
    """Return how the node speaks TLS through the add-on; None where it does not yet."""
    if former is None or not session.brief.baseline:
        return None
    layout = Layout(installed_directory(session, former))
    return Served(former, layout, loopback_only(session.server.bind), history.plain_port)


def installed_directory(session: NodeSession, former: EncryptionSpec) -> str:
    """Return where the certificates that are installed lie."""
    state = session.brief.baseline.get("certificate")
    return str(state["directory"]) if state else directory_of(former, session.server)


def removal(
    session: NodeSession, former: EncryptionSpec, key: str = IssueCertificates.key
) -> RemoveCertificates:
    """Return the step that takes away the certificates that are installed."""
    created = session.brief.baseline.get("certificate", {}).get("missing", ())
    return RemoveCertificates(installed_directory(session, former), created=created, key=key)


def previous_rules(session: NodeSession) -> list[Rule]:
    """Return the rules that the add-on put there in earlier runs."""
    state = session.brief.baseline.get("firewall")
    return [stored_rule(rule) for rule in state["wanted"]] if state else []
