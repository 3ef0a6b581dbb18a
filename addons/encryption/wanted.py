"""From the spec and a node's facts to what its server should say. Pure decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from addons.encryption.binding import bind_wanted, loopback_only
from addons.encryption.cluster import bus_directives, bus_line
from addons.encryption.history import History
from addons.encryption.layout import DEFAULT_DIRECTORY, Layout
from addons.encryption.spec import AEAD, AUTH_CLIENTS, PROTOCOLS, EncryptionSpec
from addons.encryption.steps.runtime import (
    LIVE_TLS,
    SEVERAL_PAIRS,
    has_what_it_started_with,
)
from instances.nodeconf.facts import NodeFacts, ServerFacts
from instances.nodeconf.firewall import Rule
from instances.nodeconf.redis_conf import quote_argument
from instances.runtime import RuntimeFacts


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one node should come to.

    Args:
        directives: Directive to value as CONFIG has it, in the order to set them.
        live: Whether the running server can take them.
        loopback_only: Whether clients on other machines cannot reach the server even then.
        rules: The firewall rules.
        at_start: What the file says besides, and counts at a start only; None for no line.
    """

    layout: Layout
    directives: dict[str, str]
    live: bool
    loopback_only: bool
    rules: tuple[Rule, ...]
    at_start: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def lines(self) -> dict[str, str | None]:
        """The directives as lines of redis.conf have them; None for a line that is to go."""
        running = {
            name: None
            if name == "tls-ciphers" and not value
            else value
            if name == "bind"
            else quote_argument(value)
            for name, value in self.directives.items()
        }
        return {**running, **self.at_start}


def wanted_of(
    spec: EncryptionSpec,
    facts: NodeFacts,
    runtime: RuntimeFacts,
    *,
    addresses: Sequence[str],
    prefix: str,
    history: History,
) -> Wanted:
    """Decide for one node.

    Args:
        addresses: The node's names and addresses, as clients use them.
        prefix: What our firewall tags on this node begin with.
        history: What the add-on has changed there before.
    """
    server = facts.server
    layout = Layout(directory_of(spec, server))
    bind = bind_wanted(spec, server, facts, addresses)
    directives = {
        "tls-cert-file": layout.certificate,
        "tls-key-file": layout.key,
        "tls-ca-cert-file": layout.trusted,
        "tls-auth-clients": AUTH_CLIENTS[spec.tls_auth_clients],
        "tls-protocols": PROTOCOLS[spec.tls_minimum],
        **_ciphers(spec, history),
        **_replication(spec, history),
        **bus_directives(spec, facts, runtime, history),
        **_ports(spec, history),
    }
    if bind != server.bind:
        directives = {"bind": " ".join(bind), **directives}
    if spec.protected_mode == "no":
        directives = {"protected-mode": "no", **directives}
    exposes = history.exposed or loopback_only(server.bind)
    closes = (
        spec.bind == "node"
        and not spec.tls_only
        and exposes
        and needs_password(server, runtime) is not True
    )
    return Wanted(
        layout=layout,
        directives=directives,
        live=spec.apply == "live" and _takes_live(server, runtime, directives),
        loopback_only=loopback_only(bind),
        rules=rules_of(spec, prefix=prefix, close=history.plain_port if closes else None),
        at_start=bus_line(spec, facts, runtime, history),
    )


def _ciphers(spec: EncryptionSpec, history: History) -> dict[str, str]:
    """Return the suites of TLS 1.2; those of before the add-on where the server is to choose."""
    if spec.ciphers != "server":
        return {"tls-ciphers": AEAD if spec.ciphers == "aead" else spec.ciphers}
    return {} if history.ciphers is None else {"tls-ciphers": history.ciphers}


def _replication(spec: EncryptionSpec, history: History) -> dict[str, str]:
    """Return how links to a primary are made: on a primary too, for it may become a replica."""
    if spec.replicates_over_tls:
        return {"tls-replication": "yes"}
    return {"tls-replication": "no"} if history.link_moved else {}


def _ports(spec: EncryptionSpec, history: History) -> dict[str, str]:
    """Return the ports in the order to set them: what closes makes room for what opens.

    TLS comes after its certificates (REDIS_FACTS 0.4), and may take the plain port's number over
    or give it back (REDIS_FACTS 2).
    """
    tls = {"tls-port": str(spec.tls_port)}
    if spec.tls_only:
        return {"port": "0", **tls} if history.plain_port else tls
    return {**tls, "port": str(history.plain_port)} if history.closed else tls


def _takes_live(server: ServerFacts, runtime: RuntimeFacts, directives: Mapping[str, str]) -> bool:
    """Say whether the running server takes all of it by CONFIG SET."""
    if can_apply_live(server, runtime):
        return not _must_stop_listening(server, runtime, directives)
    told = runtime.config_refused is None and not server.outdated
    return told and has_what_it_started_with(runtime.config, directives)


def _must_stop_listening(
    server: ServerFacts, runtime: RuntimeFacts, directives: Mapping[str, str]
) -> bool:
    """Say whether certificates move on a server that could do so only with no port open at all.

    Before 7.0 TLS stops listening while certificate and key move to other paths (REDIS_FACTS 2).
    """
    old = server.product != "valkey" and server.version < SEVERAL_PAIRS
    only = runtime.config.get("port") == "0" and runtime.config.get("tls-port", "0") != "0"
    moves = runtime.config.get("tls-cert-file") != directives["tls-cert-file"]
    return old and only and moves


def directory_of(spec: EncryptionSpec, server: ServerFacts) -> str:
    """Return where the certificates go: as asked for, or the usual place of the server's kind."""
    return spec.directory or DEFAULT_DIRECTORY[server.product]


def rules_of(spec: EncryptionSpec, *, prefix: str, close: int | None = None) -> tuple[Rule, ...]:
    """Return the rules: the TLS port open from the networks, the plain one closed where asked."""
    opened = Rule(tag=f"{prefix}tls", port=spec.tls_port, networks=spec.networks)
    if close is None:
        return (opened,)
    return (opened, Rule(tag=f"{prefix}plain", port=close, action="drop"))


def can_apply_live(server: ServerFacts, runtime: RuntimeFacts) -> bool:
    """Say whether the running server takes tls-port by CONFIG SET (REDIS_FACTS 1)."""
    new_enough = server.product == "valkey" or server.version >= LIVE_TLS
    return new_enough and runtime.config_refused is None and not server.outdated


def needs_password(server: ServerFacts, runtime: RuntimeFacts) -> bool | None:
    """Say whether clients must log in, now and after a restart; None where neither tells."""
    now = None if runtime.open is None else not runtime.open
    told = {now, server.requires_password}
    return False if False in told else (True in told or None)


def denied_by_protected_mode(
    spec: EncryptionSpec, server: ServerFacts, runtime: RuntimeFacts
) -> bool:
    """Say whether protected mode answers -DENIED to other machines, over TLS too.

    Before 7.0 it acts only where no bind directive stands (6.2.14 networking.c, acceptCommonHandler
    asks for server.bindaddr_count == 0); from 7.0 on wherever the default user has no password.
    """
    on = runtime.config.get("protected-mode", "yes" if server.protected_mode else "no") == "yes"
    if not on or spec.protected_mode == "no" or needs_password(server, runtime) is not False:
        return False
    always = server.product == "valkey" or server.version >= (7, 0)
    return always or server.tree.last("bind") is None
