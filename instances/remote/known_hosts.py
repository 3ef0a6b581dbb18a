"""Reading OpenSSH's known_hosts files (the format is in sshd(8)). Pure."""

import base64
import fnmatch
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownHost:
    """One usable line: what names it, and the key."""

    names: str
    key_line: str
    revoked: bool = False


def parse(text: str) -> list[KnownHost]:
    """The key lines of a known_hosts text.

    @cert-authority lines are left out: the panel pins keys. What is no key line is skipped, as
    ssh does.
    """
    return list(_lines(text))


def find_host_keys(text: str, address: str, port: int = 22) -> list[str]:
    """The host key lines ("ssh-ed25519 AAAA…") for an address, revoked keys left out."""
    matching = [known for known in parse(text) if _matches(known.names, address, port)]
    revoked = {known.key_line for known in matching if known.revoked}
    keys = [known.key_line for known in matching if known.key_line not in revoked]
    return list(dict.fromkeys(keys))


def _lines(text: str) -> Iterator[KnownHost]:
    for line in text.splitlines():
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in {"", "@revoked"}:
            continue
        names, kind, blob = words[:3]
        if _is_key(kind, blob):
            yield KnownHost(names, f"{kind} {blob}", revoked=marker == "@revoked")


def _is_key(kind: str, blob: str) -> bool:
    try:
        raw = base64.b64decode(blob, validate=True)
    except ValueError:
        return False
    return raw[4 : 4 + len(kind)] == kind.encode()


def _matches(names: str, address: str, port: int) -> bool:
    wanted = address.lower() if port == 22 else f"[{address.lower()}]:{port}"
    if names.startswith("|1|"):
        return _hash_matches(names, wanted)
    patterns = [name.lower() for name in names.split(",")]
    refused = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if any(_fits(wanted, pattern) for pattern in refused):
        return False
    return any(_fits(wanted, pattern) for pattern in patterns if not pattern.startswith("!"))


def _fits(wanted: str, pattern: str) -> bool:
    # Brackets stand around a host with a port here; in fnmatch they would be a character class.
    return fnmatch.fnmatchcase(wanted, pattern.replace("[", "[[]"))


def _hash_matches(name: str, wanted: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in name.split("|")[2:4])
    except ValueError:
        return False
    # SHA-1 is what the format prescribes (ssh-keygen -H).
    return hmac.compare_digest(hmac.new(salt, wanted.encode(), hashlib.sha1).digest(), digest)
