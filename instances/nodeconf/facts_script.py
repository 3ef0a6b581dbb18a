"""The read-only script that looks at a node, and the framing of its answer."""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from instances.nodeconf.command import Command

Sections = dict[tuple[str, str], bytes]
"""Contents by section name and key; the key is a path or a process id, or empty."""

_HEADER = re.compile(rb"==([a-z0-9]+) (\d+) (?:(\d+) r|- b)\n")


class FactsError(Exception):
    """A node that cannot be described.

    Args:
        reason: A word for programs: NoServer, SeveralServers, ConfigUnreadable, or Garbled.
        message: What was found and what to do next, for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@cache
def facts_script() -> str:
    """Return the script: a constant, whatever the node is called."""
    return files("instances.nodeconf").joinpath("facts.sh").read_text(encoding="utf-8")


def facts_command(
    unit: str | None = None, config_path: str | None = None, *, remembered: str = ""
) -> Command:
    """Look at a node, as root; it changes nothing there.

    Args:
        remembered: The identity of a program (`ServerFacts.identity`) that an earlier look asked
            for its version and TLS support: while it is the same file it is not asked again.
        unit: The server's systemd unit, needed where several servers share the machine.
        config_path: Its configuration file, where the unit does not name it.
    """
    argv = ("bash", "-c", facts_script(), "facts", unit or "", config_path or "", remembered)
    return Command(argv, timeout=30.0)


def parse_sections(stdout: bytes) -> Sections:
    """Cut the answer into its sections.

    Raises:
        FactsError: Garbled, where it is cut short or something else wrote into it.
    """
    sections = dict(_sections(stdout))
    if ("end", "") not in sections:
        raise _garbled("it ends too early")
    return sections


def _sections(stdout: bytes) -> Iterator[tuple[tuple[str, str], bytes]]:
    at = 0
    while at < len(stdout):
        header = _HEADER.match(stdout, at)
        if header is None:
            raise _garbled(f"byte {at} begins no section")
        key_end = header.end() + int(header[2])
        encoded = header[3] is None
        end = stdout.find(b"\n", key_end) if encoded else key_end + int(header[3])
        if end < 0:
            raise _garbled("a file is cut short")
        key = stdout[header.end() : key_end].decode(errors="surrogateescape")
        payload = stdout[key_end:end]
        yield (header[1].decode(), key), _decoded(payload) if encoded else payload
        at = end + 1


def _decoded(payload: bytes) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error:
        raise _garbled("a file's content is not base64") from None


def _garbled(why: str) -> FactsError:
    return FactsError(
        "Garbled",
        f"The node's answer could not be read: {why}. Look whether its root shell prints text "
        "of its own, for example from /root/.bashrc or a BASH_ENV file.",
    )
