"""Whether the running server has the certificate of its file loaded: only a handshake tells."""

from collections.abc import Mapping, Sequence
from functools import partial

from addons.encryption.steps.certificate import IssueCertificates
from addons.engine.step import Line
from addons.session import NodeSession
from instances.remote.errors import RemoteError
from instances.remote.tls_probe import served_fingerprint
from instances.runtime import admin_address

_TIMEOUT = 5.0


def replaced(certificates: IssueCertificates | None) -> bool:
    """Say whether the server has to load other certificates from the same paths."""
    return certificates is not None and certificates.replaces


def stale_certificate(
    node: NodeSession,
    certificates: IssueCertificates | None,
    running: Mapping[str, str],
    wanted: Mapping[str, str],
) -> Sequence[str]:
    """Return the fingerprints that are served and on file, where those differ; else nothing.

    A server keeps what it has loaded, whatever becomes of the file (REDIS_FACTS 0.4 and 2). Where
    certificates are about to be replaced, or TLS is not on, there is nothing to compare.

    Args:
        certificates: The step, inspected before.
        running: What the server runs with.
        wanted: What it should run with.
    """
    port = wanted.get("tls-port", "0")
    on = running.get("tls-port") == port or running.get("listening") == "True"
    if certificates is None or certificates.replaces or certificates.in_place is None:
        return ()
    if port == "0" or not on:
        return ()
    address = admin_address(node.server)
    connect = partial(node.host.connect, address, int(port), _TIMEOUT)
    try:
        served = served_fingerprint(connect, server_name=address, timeout=_TIMEOUT, node=node.name)
    except RemoteError:
        # Before TLS 1.3 who shows no certificate sees none, where one is required.
        return ()
    on_file = certificates.in_place[0]
    return () if served == on_file else (served, on_file)


def reload_lines(stale: Sequence[str], path: str) -> list[Line]:
    """Show what is loaded again, and why where it is not what the file holds.

    Args:
        stale: Of `stale_certificate`.
        path: The certificate's.
    """
    if not stale:
        return [Line("context", f"tls-cert-file {path}")] if path else []
    served, on_file = stale
    return [Line("del", f"served certificate {served}"), Line("add", f"{path} {on_file}")]
