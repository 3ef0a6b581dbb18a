"""What a node's server is, from its facts: the configuration and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from instances.nodeconf.conf_grammar import ConfigSyntaxError
from instances.nodeconf.conf_tree import CommandLine, ConfigTree, effective, parse_command_line

Product = Literal["redis", "valkey"]
Version = tuple[int, ...]


@dataclass(frozen=True)
class ConfigFileFacts:
    """The main configuration file and what it includes.

    Args:
        path: As the server is given it.
        target: The file itself, where ``path`` is or passes a symbolic link; else ``path``.
        mode: Permission bits.
        directory_writable: Whether root can put a new file beside it.
        includes: Contents by path, of includes of includes too.
        changed: When the main file was last written, in the node's seconds since 1970.
    """

    path: str
    target: str
    owner: str
    group: str
    mode: int
    directory_writable: bool
    content: bytes = field(repr=False)
    includes: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    changed: int | None = None


@dataclass(frozen=True)
class ServerFacts:
    """One Redis or Valkey server.

    Args:
        exe: The program that the unit starts.
        outdated: The program was replaced since the server started: it runs an older one.
        exec_start: The command line by which it is started, program first; may hold secrets.
        pid: None where it does not run.
        tls_supported: None where the probe told nothing; ``tls_reason`` says why.
        identity: Which file the program is: path, device, inode, size, time of change.
        working_directory: From which relative includes count.
    """

    product: Product
    version: Version
    version_text: str
    exe: str
    unit: str
    unit_user: str
    unit_group: str
    unit_type: str
    active_state: str
    umask: int
    protect_system: str
    read_write_paths: tuple[str, ...]
    fragment_path: str
    drop_in_paths: tuple[str, ...]
    pid: int | None
    sentinel: bool
    outdated: bool
    tls_supported: bool | None
    tls_reason: str
    config: ConfigFileFacts
    identity: str = ""
    working_directory: str = "/"
    exec_start: tuple[str, ...] = field(default=(), repr=False)

    @property
    def command_line(self) -> CommandLine:
        """The options of the command line, which override the file."""
        try:
            return parse_command_line(self.exec_start)[1]
        except ConfigSyntaxError:
            return []

    @cached_property
    def tree(self) -> ConfigTree:
        """Everything that the server reads at its next start."""
        files = {**self.config.includes, self.config.path: self.config.content}
        return effective(
            self.config.path, files, self.command_line, directory=self.working_directory
        )

    @property
    def port(self) -> int:
        """The plaintext port; 0 for none."""
        return _number(self.tree.value("port"), 26379 if self.sentinel else 6379)

    @property
    def tls_port(self) -> int:
        """The TLS port; 0 for none."""
        return _number(self.tree.value("tls-port"), 0)

    @property
    def bind(self) -> tuple[str, ...]:
        """Addresses as configured; all of them where nothing is (redis 7.0.15 server.h:115)."""
        setting = self.tree.last("bind")
        return setting.arguments if setting else ("*", "-::*")

    @property
    def protected_mode(self) -> bool:
        """On unless switched off; a Sentinel's is off (redis 7.0.15 sentinel.c:516)."""
        return (self.tree.value("protected-mode") or _yes(not self.sentinel)).lower() == "yes"

    @property
    def requires_password(self) -> bool | None:
        """Whether the default user needs a password, as far as the configuration tells.

        An inline ``user default`` beats requirepass (REDIS_FACTS 8). An aclfile is not read, and
        beats it too (REDIS_FACTS 0.5): with one, this is None.
        """
        default = [rules for name, *rules in self.tree.all("user") if name == "default"]
        if default:
            return "nopass" not in [rule.lower() for rule in default[-1]]
        return None if self.tree.value("aclfile") else bool(self.tree.value("requirepass"))

    @property
    def renamed_commands(self) -> dict[str, str]:
        """Commands, in upper case, with their new names; empty for a command that is gone."""
        pairs = (arguments for arguments in self.tree.all("rename-command") if len(arguments) == 2)
        return {old.upper(): new for old, new in pairs}

    @property
    def unixsocket(self) -> str | None:
        return self.tree.value("unixsocket") or None

    @property
    def primary(self) -> tuple[str, int] | None:
        """Host and port that the configuration replicates from."""
        setting = self.tree.last("replicaof")
        if setting is None or len(setting.arguments) != 2 or setting.arguments[0].lower() == "no":
            return None
        return setting.arguments[0], _number(setting.arguments[1], 6379)

    @property
    def primary_host(self) -> str | None:
        return self.primary[0] if self.primary else None


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else default


def _yes(value: bool) -> str:  # noqa: FBT001 (its one argument is the value)
    return "yes" if value else "no"
