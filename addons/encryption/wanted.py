"""From the spec and a node's facts to what its server should say. Pure decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from addons.encryption.issuer import is_ip
from addons.encryption.layout import DEFAULT_DIRECTORY, Layout
from addons.encryption.spec import AUTH_CLIENTS, EncryptionSpec
from addons.encryption.steps.runtime import LIVE_TLS
from instances.nodeconf.facts import NodeFacts, ServerFacts
from instances.nodeconf.firewall import Rule
from instances.nodeconf.redis_conf import quote_argument
from instances.runtime import RuntimeFacts

_ANYWHERE = {"*", "-*", "0.0.0.0", "::", "-::*", "::*"}  # noqa: S104 -- compared with, not bound to
_LOOPBACK = {"localhost"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one node should come to.

    Args:
        directives: Directive to value as CONFIG has it, in the order to set them.
        live: Whether the running server can take them.
        loopback_only: Whether clients on other machines cannot reach the server even then.
        rules: The firewall rules.
    """

    layout: Layout
    directives: dict[str, str]
    live: bool
    loopback_only: bool
    rules: tuple[Rule, ...]

    @property
    def lines(self) -> dict[str, str | None]:
        """The directives as lines of redis.conf have them."""
        return {
            name: value if name == "bind" else quote_argument(value)
            for name, value in self.directives.items()
        }


def wanted_of(
    spec: EncryptionSpec,
    facts: NodeFacts,
    runtime: RuntimeFacts,
    *,
    addresses: Sequence[str],
    prefix: str,
    closed_before: bool,
) -> Wanted:
    """Decide for one node.

    Args:
        addresses: The node's names and addresses, as clients use them.
        prefix: What our firewall tags on this node begin with.
        closed_before: Whether the add-on has closed the plain port already, so that its new bind
            is its own doing.
    """
    server = facts.server
    layout = Layout(directory_of(spec, server))
    bind = bind_wanted(spec, server, facts, addresses)
    directives = {
        "tls-cert-file": layout.certificate,
        "tls-key-file": layout.key,
        "tls-ca-cert-file": layout.trusted,
        "tls-auth-clients": AUTH_CLIENTS[spec.tls_auth_clients],
        "tls-port": str(spec.tls_port),
    }
    if bind != server.bind:
        directives = {"bind": " ".join(bind), **directives}
    if spec.protected_mode == "no":
        directives = {"protected-mode": "no", **directives}
    exposes = closed_before or loopback_only(server.bind)
    closes = spec.bind == "node" and exposes and needs_password(server, runtime) is not True
    return Wanted(
        layout=layout,
        directives=directives,
        live=spec.apply == "live" and can_apply_live(server, runtime),
        loopback_only=loopback_only(bind),
        rules=rules_of(spec, prefix=prefix, close=server.port if closes else None),
    )


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


def bind_wanted(
    spec: EncryptionSpec, server: ServerFacts, facts: NodeFacts, addresses: Sequence[str]
) -> tuple[str, ...]:
    """Return the addresses to listen on: as they are, or with the node's own added."""
    if spec.bind == "keep" or _ANYWHERE.intersection(server.bind):
        return server.bind
    own = [address for address in addresses if _is_of_node(address, facts)]
    return (*server.bind, *(each for each in own if each not in server.bind))


def loopback_only(bind: Sequence[str]) -> bool:
    """Say whether a server bound so is reached from its own machine alone."""
    return all(_is_loopback(word.removeprefix("-")) for word in bind)


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


def _is_of_node(address: str, facts: NodeFacts) -> bool:
    return is_ip(address) and ip_address(address) in {
        ip_address(each.ip) for each in facts.addresses
    }


def _is_loopback(word: str) -> bool:
    if word in _ANYWHERE:
        return False
    return word in _LOOPBACK or (is_ip(word) and ip_address(word).is_loopback)
