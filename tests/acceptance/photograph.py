"""Everything of a node that an install and an uninstall together must leave as it was."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

from lab import Lab

_PLACES = ("/etc", "/var/lib", "/opt", "/srv", "/root", "/home", "/usr/local", "/tmp", "/var/tmp")
# What a running machine and its Redis write by themselves.
_ALIVE = re.compile(
    r"/var/lib/(redis|valkey|systemd|dbus|private)/|/(var/)?tmp/systemd-private-|/tmp/\.[A-Z]"
)

_LOOK = r"""
shopt -s nullglob
find "$@" /run/redoubt* -printf '%p %y %m %u:%g %l\n' 2>/dev/null | LC_ALL=C sort
echo ===
# firewalld keeps the zone's file of before its latest change under this name, and never loads it.
find /etc -type f ! -path '/etc/firewalld/zones/*.old' -exec sha256sum {} + | LC_ALL=C sort -k 2
echo ===
if command -v nft >/dev/null; then nft list ruleset; fi
if command -v iptables-save >/dev/null; then iptables-save; ip6tables-save; fi
echo ===
systemctl list-units --all --plain --no-legend 'redoubt*' | cut -d' ' -f1
"""
_COUNTERS = re.compile(r"\[\d+:\d+\]|counter packets \d+ bytes \d+|# handle \d+")


@dataclass(frozen=True)
class Photograph:
    """A node at one moment.

    Args:
        files: Path, type, mode, owner and link target of everything that could be ours.
        sums: SHA-256 of each file below /etc.
        firewall: The rules in force, without counters.
        units: Units of ours that systemd knows.
        config: What the running server says to CONFIG GET *.
    """

    files: frozenset[str]
    sums: frozenset[str]
    firewall: tuple[str, ...]
    units: frozenset[str]
    config: frozenset[tuple[str, str]]

    def differences(self, later: "Photograph", *, but: Iterable[str] = ()) -> list[str]:
        """What is not as it was, one sentence each; `but` are directives left out."""
        told = []
        for name in (each.name for each in fields(self)):
            before, after = getattr(self, name), getattr(later, name)
            if name == "firewall":
                told += [] if before == after else [f"firewall: {before} became {after}"]
                continue
            told += [f"{name}: gone {item}" for item in sorted(before - after)]
            told += [f"{name}: new {item}" for item in sorted(after - before)]
        ignored = tuple(f"config: {verb} ('{name}'" for name in but for verb in ("gone", "new"))
        return [text for text in told if not text.startswith(ignored or ("\0",))]


def photograph(lab: Lab, name: str, *, password: str = "") -> Photograph:
    """Take one, from inside the node."""
    looked = lab.exec(name, ["bash", "-c", _LOOK, "look", *_PLACES])
    files, sums, firewall, units = looked.stdout.decode().split("===\n")
    return Photograph(
        files=frozenset(line for line in files.splitlines() if not _ALIVE.search(line)),
        sums=frozenset(sums.splitlines()),
        firewall=tuple(
            _COUNTERS.sub("", line) for line in firewall.splitlines() if not line.startswith("#")
        ),
        units=frozenset(units.splitlines()),
        config=frozenset(config_of(lab, name, password=password).items()),
    )


def config_of(lab: Lab, name: str, *patterns: str, password: str = "") -> dict[str, str]:
    """What the server says to CONFIG GET, asked on its own machine."""
    lines = cli(lab, name, "CONFIG", "GET", *(patterns or ("*",)), password=password).splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=False))


def cli(lab: Lab, name: str, *words: str, password: str = "") -> str:
    """Ask the server on its own machine, on its plain port."""
    script = (
        'cli=$(command -v redis-cli || command -v valkey-cli); REDISCLI_AUTH=$1 "$cli" "${@:2}"'
    )
    done = lab.exec(name, ["bash", "-c", script, "cli", password, *words])
    return done.stdout.decode()


def shell(lab: Lab, name: str, script: str, *words: str) -> str:
    """Run a script in the node as root, and insist that it works."""
    done = lab.exec(name, ["bash", "-euc", script, "shell", *words])
    assert done.returncode == 0, f"{name}: {script}: {done.stdout!r} {done.stderr!r}"
    return done.stdout.decode()
