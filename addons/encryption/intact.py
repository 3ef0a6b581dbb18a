"""Whether certificates are still as they were put on a node. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from addons.encryption.layout import (
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    CLIENT_TRUSTED,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    SERVER_TRUSTED,
    ownership,
)
from addons.engine.step import Line

_PAIRS = {"server": (SERVER_CERTIFICATE, SERVER_KEY), "client": (CLIENT_CERTIFICATE, CLIENT_KEY)}


def changed_since(
    state: Mapping[str, Any], *, known: Mapping[str, str], trusted: str, group: str
) -> list[Line]:
    """Return as a difference what was changed since the panel put it there; empty without any.

    Args:
        state: Of `IssueCertificates`, with the server's and the client's certificate.
        known: The certificates issued to the node: by fingerprint their keys' digests.
        trusted: The authorities that should stand there, PEM.
        group: The server's.
    """
    if not state["generation"]:
        return []
    return [
        *(line for which in _PAIRS for line in _pair(state, which, known)),
        *_roots(state, trusted),
        *_ownership(state, group),
    ]


def _pair(state: Mapping[str, Any], which: str, known: Mapping[str, str]) -> Iterator[Line]:
    certificate, key = _PAIRS[which]
    facts = state[which]
    fingerprint = facts["fingerprint_sha256"] if facts else ""
    if fingerprint not in known:
        yield Line("del", f"{certificate} {fingerprint or 'no certificate'}")
        yield Line("add", f"{certificate} issued by the panel")
        return
    digest = state["keys"].get(which, "")
    if known[fingerprint] and digest != known[fingerprint]:
        yield Line("del", f"{key} {'another key' if digest else 'no key'}")
        yield Line("add", f"{key} of {fingerprint}")


def _roots(state: Mapping[str, Any], trusted: str) -> Iterator[Line]:
    for path, content in (
        (SERVER_TRUSTED, state["trusted"]),
        (CLIENT_TRUSTED, state["client_trusted"]),
    ):
        if content != trusted:
            yield Line("del", f"{path} {'other authorities' if content else 'no authority'}")
            yield Line("add", f"{path} of this environment")


def _ownership(state: Mapping[str, Any], group: str) -> Iterator[Line]:
    for part, wanted in ownership(group).items():
        found = state["modes"].get(f"generations/{state['generation']}/{part}")
        if found is not None and found != wanted:
            yield Line("del", f"{part} {found}")
            yield Line("add", f"{part} {wanted}")
