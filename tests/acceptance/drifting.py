"""A node with the add-on on it, and an operator who changes things there by hand."""

from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from addons.models import NodeInstallation
from addons.watch.observe import nodes_observe
from instances.nodeconf.firewall.firewalld import priority
from tests.acceptance.panel import succeeded
from tests.acceptance.photograph import Photograph, shell
from tests.acceptance.stage import SPECS, STAYS_IN_6_2, Stage

MADE_UP = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other "
    "-keyout /tmp/other.key -out /tmp/other.crt -days 30 2>/dev/null"
)
_CLI = "$(command -v redis-cli || command -v valkey-cli)"
_WITHOUT_RULE = {
    "nftables": "nft -a list chain inet filter input | sed -n 's/.*redoubt.*handle //p' | "
    "xargs nft delete rule inet filter input handle",
    "iptables": "for each in iptables ip6tables; do (echo '*filter'; "
    "$each-save -t filter | sed -n '/redoubt/s/^-A/-D/p'; echo COMMIT) | "
    "$each-restore --noflush; done",
    "ufw": "ufw delete allow 6380/tcp",
    "firewalld": "firewall-cmd --remove-rich-rule='{rich}'",
}
"""How an operator takes the rule out of what is in force; with ufw, out of its files too."""
_NOT_AT_BOOT = {
    "nftables": "sed -i /redoubt/d /etc/nftables.conf",
    "iptables": "sed -i /redoubt/d /etc/iptables/rules.v4",
    "firewalld": "firewall-cmd --permanent --remove-rich-rule='{rich}'",
}
"""How an operator takes it out of what comes into force at the next boot."""
_IPTABLES = '-A INPUT -p tcp -m tcp --dport 6380 -m comment --comment "{tag}" -j ACCEPT'
_MISSING = {
    "nftables": ['+inet filter input: tcp dport 6380 accept comment "{tag}"'],
    "iptables": [f"+IPv4: {_IPTABLES}", f"+IPv6: {_IPTABLES}"],
    "ufw": ["+ufw allow from any to any port 6380 proto tcp comment {tag}"],
    "firewalld": ["+in force: zone public: {rich}"],
}
_MISSING_AT_BOOT = {
    "nftables": ['+/etc/nftables.conf: inet filter input: tcp dport 6380 accept comment "{tag}"'],
    "iptables": [f"+/etc/iptables/rules.v4: {_IPTABLES}"],
    "firewalld": ["+permanent: zone public: {rich}"],
}
_FILES = {
    "nftables": ["/etc/nftables.conf"],
    "iptables": ["/etc/iptables/"],
    "ufw": ["/etc/ufw/"],
    "firewalld": ["/etc/firewalld/"],
}


@dataclass
class Watched:
    """The node as an operator and the panel's watch see it."""

    stage: Stage
    name: str
    photograph_without_addon: Photograph = field(init=False)

    def __post_init__(self) -> None:
        self.stage.register(self.name)
        self.photograph_without_addon = self.photograph()
        self.stage.panel.install(self.name)

    @property
    def service(self) -> str:
        return SPECS[self.name].unit

    @property
    def group(self) -> str:
        return SPECS[self.name].service

    @property
    def file(self) -> str:
        return self.stage.hosts[self.name].config_path

    @property
    def tls(self) -> str:
        return f"/etc/{self.group}/tls"

    @property
    def key(self) -> str:
        return f"{self.tls}/server/server.key"

    @property
    def certificate(self) -> str:
        return f"{self.tls}/server/server.crt"

    @property
    def firewall_files(self) -> list[str]:
        return _FILES[SPECS[self.name].firewall_backend]

    @property
    def fingerprint(self) -> str:
        script = f"openssl x509 -in {self.certificate} -noout -fingerprint -sha256"
        return self.by_hand(script).strip().partition("=")[2]

    def lines(self) -> list[str]:
        return self.by_hand(f"cat {self.file}").splitlines()

    def by_hand(self, script: str) -> str:
        return shell(self.stage.lab, self.name, script)

    @staticmethod
    def config_set(directive: str, value: str) -> str:
        return f"{_CLI} CONFIG SET {directive} {value}"

    def listen_on(self, port: int) -> str:
        """In the file and in the running server: 6.0 takes the port by a restart only."""
        legacy = SPECS[self.name].image == "bullseye"
        live = self.config_set("tls-port", str(port))
        load = f"systemctl restart {self.service}" if legacy else live
        return f"sed -i 's/^tls-port .*/tls-port {port}/' {self.file}; {load}"

    def another_pair_loaded(self, *, kept: bool = False) -> str:
        """The server loads a pair of somebody else's; ``kept`` puts the panel's files back then."""
        keep = f"cp {self.certificate} /tmp/ours.crt; cp {self.key} /tmp/ours.key"
        put = f"cat /tmp/other.crt >{self.certificate}; cat /tmp/other.key >{self.key}"
        load = self.config_set("tls-cert-file", self.certificate)
        back = f"cat /tmp/ours.crt >{self.certificate}; cat /tmp/ours.key >{self.key}"
        steps = [keep, MADE_UP, put, load, *([back] if kept else []), "rm /tmp/other.* /tmp/ours.*"]
        return "; ".join(steps)

    def without_rule(self) -> dict[str, dict[str, list[str]]]:
        """What takes the panel's rule away, in force or from the boot, and what then is missing."""
        backend = SPECS[self.name].firewall_backend
        tag = f"{self.stage.panel.tag(self.name)}tls"
        rich = f'rule priority="{priority(tag)}" port port="6380" protocol="tcp" accept'
        return {
            scripts[backend].format(rich=rich): {
                backend: [line.format(tag=tag, rich=rich) for line in missing[backend]]
            }
            for scripts, missing in ((_WITHOUT_RULE, _MISSING), (_NOT_AT_BOOT, _MISSING_AT_BOOT))
            if backend in scripts
        }

    def observe(self) -> NodeInstallation:
        nodes_observe(rows=[self.row.pk], asked_at=timezone.now())
        return self.row

    @property
    def row(self) -> NodeInstallation:
        return self.stage.panel.installed(self.name)

    def repair(self) -> None:
        """Repair it; nothing of what is tested here needs a restart, on any version."""
        started = self._started
        succeeded(self.stage.panel.run(self.name, "install", {}))
        assert self._started == started

    @property
    def _started(self) -> str:
        """What tells a start of the server from the next one."""
        return self.by_hand(f"{_CLI} INFO server | grep run_id")

    def uninstall(self) -> None:
        self.stage.panel.uninstall(self.name)

    def photograph(self) -> Photograph:
        return self.stage.photograph(self.name)

    def trace(self, before: Photograph) -> list[str]:
        """What is not as it was, a sentence each."""
        stays = STAYS_IN_6_2.get(self.name, ())
        return before.differences(self.photograph(), but=stays)

    def assert_new_pair(self, former: str) -> None:
        """As wanted, with a certificate that was issued since; and loaded."""
        row = self.observe()
        assert (row.health, differences(row)) == ("ok", {})
        assert row.observed["fingerprint"] == self.fingerprint != former


def condition(row: NodeInstallation, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in row.conditions if each["type"] == kind)
    return found


def differences(row: NodeInstallation) -> dict[str, list[str]]:
    """The differing lines by place, signs first; nothing where the node is as wanted."""
    drifted = condition(row, "AsWanted")["status"] == "false"
    assert drifted == bool(row.drift)
    signs = {"del": "-", "add": "+"}
    return {
        each["place"]: [
            f"{signs[line['kind']]}{line['text'].strip()}"
            for line in each["lines"]
            if line["kind"] in signs
        ]
        for each in row.drift
    }
