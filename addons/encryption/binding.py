"""The addresses that a server listens on: which it should have, and who reaches them. Pure."""

from collections.abc import Sequence
from ipaddress import ip_address

from addons.encryption.spec import EncryptionSpec
from addons.pki.names import is_ip
from instances.nodeconf.facts import NodeFacts, ServerFacts

_ANYWHERE = {"*", "-*", "0.0.0.0", "::", "-::*", "::*"}  # noqa: S104 -- compared with, not bound to
_LOOPBACK = {"localhost"}


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


def _is_of_node(address: str, facts: NodeFacts) -> bool:
    return is_ip(address) and ip_address(address) in {
        ip_address(each.ip) for each in facts.addresses
    }


def _is_loopback(word: str) -> bool:
    if word in _ANYWHERE:
        return False
    return word in _LOOPBACK or (is_ip(word) and ip_address(word).is_loopback)
