"""No firewall: every port is open, and none can be closed."""

from collections.abc import Iterable, Sequence

from instances.nodeconf.command import Command, Result
from instances.nodeconf.firewall.rules import (
    FirewallChange,
    FirewallTexts,
    Reason,
    Rule,
    reason_for,
)


class NoFirewall:
    """Plans for nodes where nothing filters: there is nothing to run."""

    name = "none"

    def read_commands(self) -> tuple[Command, ...]:
        return ()

    def parse(self, results: Sequence[Result]) -> FirewallTexts:
        _ = results
        return FirewallTexts()

    def tags(self, facts: FirewallTexts, prefix: str) -> frozenset[str]:
        _ = facts, prefix
        return frozenset()

    def present(self, facts: FirewallTexts, tag: str) -> tuple[str, ...]:
        _ = facts, tag
        return ()

    def satisfied(self, facts: FirewallTexts, wanted: Sequence[Rule], tag_prefix: str) -> Reason:
        return reason_for(self.plan(facts, wanted, self.tags(facts, tag_prefix)))

    def plan(
        self, facts: FirewallTexts, wanted: Sequence[Rule], tags: Iterable[str] = ()
    ) -> FirewallChange:
        _ = facts, tags
        closed = [rule.port for rule in wanted if rule.action == "drop"]
        opened = [rule.port for rule in wanted if rule.action == "accept"]
        return FirewallChange(
            problems=tuple(
                f"This machine has no firewall, so port {port} cannot be closed by one: choose "
                "nftables for it where nft is installed, or bind the server to fewer addresses."
                for port in closed
            ),
            notes=tuple(f"nothing blocks port {port}" for port in opened),
        )

    def remove(self, facts: FirewallTexts, tags: Iterable[str]) -> FirewallChange:
        return self.plan(facts, (), tags)
