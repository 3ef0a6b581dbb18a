"""Pure planning of firewall changes: what stands, what is wanted, which commands lead there.

A backend per kind of firewall, all with the methods of `rules.Backend`.
"""

from collections.abc import Mapping

from instances.nodeconf.firewall.firewalld import Firewalld
from instances.nodeconf.firewall.iptables import Iptables
from instances.nodeconf.firewall.nftables import Nftables
from instances.nodeconf.firewall.none import NoFirewall
from instances.nodeconf.firewall.rules import (
    Backend,
    FirewallChange,
    FirewallTexts,
    FirewallUnreadableError,
    Reason,
    Rule,
)
from instances.nodeconf.firewall.ufw import Ufw

BACKENDS: Mapping[str, Backend] = {
    "nftables": Nftables(),
    "iptables": Iptables(),
    "ufw": Ufw(),
    "firewalld": Firewalld(),
    "none": NoFirewall(),
}

__all__ = [
    "BACKENDS",
    "Backend",
    "FirewallChange",
    "FirewallTexts",
    "FirewallUnreadableError",
    "Reason",
    "Rule",
]
