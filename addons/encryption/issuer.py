"""Issuing for one environment, inside a run: pure but for the operating system's randomness."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from addons.pki.facts import LeafFacts, read_certificate
from addons.pki.keys import KeyType
from addons.pki.leaf import Issued, LeafRequest, issue_leaf
from addons.pki.names import is_ip
from addons.pki.policy import reasons_to_reissue
from addons.pki.serial import new_serial
from instances.reason import Reason
from instances.secret import Secret


@dataclass(frozen=True)
class Issuer:
    """The authority that an environment issues from, and what its leaves are to be like.

    Args:
        trusted: The authorities that servers and clients are to trust, PEM.
    """

    certificate_pem: str
    key: Secret
    trusted: str
    key_type: KeyType
    lifetime_days: int

    @cached_property
    def facts(self) -> LeafFacts:
        """The authority's own facts."""
        return read_certificate(self.certificate_pem)

    def request(self, name: str, addresses: Sequence[str]) -> LeafRequest:
        """Return what a server's certificate is to say: every name and address clients use."""
        dns = tuple(dict.fromkeys(each for each in addresses if not is_ip(each)))
        ips = tuple(dict.fromkeys(each for each in addresses if is_ip(each)))
        return LeafRequest(
            common_name=name,
            dns_names=dns,
            ip_addresses=ips,
            lifetime_days=self.lifetime_days,
            key_type=self.key_type,
            purpose="server",
        )

    def client_request(self, name: str) -> LeafRequest:
        """Return what a node's own client certificate is to say."""
        return LeafRequest(
            common_name=f"{name} client",
            lifetime_days=self.lifetime_days,
            key_type=self.key_type,
            purpose="client",
        )

    def issue(self, request: LeafRequest, now: datetime) -> Issued:
        """Make a key and a certificate for it."""
        return issue_leaf(
            request=request,
            authority_pem=self.certificate_pem,
            authority_key=self.key,
            now=now,
            serial=new_serial(),
        )

    def why_reissue(
        self, current: LeafFacts | None, request: LeafRequest, now: datetime
    ) -> list[Reason]:
        """Say why a certificate does not do; an empty list means that it does."""
        return reasons_to_reissue(current=current, wanted=request, authority=self.facts, now=now)
