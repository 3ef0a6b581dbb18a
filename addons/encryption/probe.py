"""The proof: a real handshake and PING, from the panel, or on the node where that cannot be."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from addons.encryption.issuer import Issuer
from addons.encryption.spec import EncryptionSpec
from addons.engine.step import StepFailed
from addons.session import NodeSession
from instances.reason import Reason
from instances.remote.dial import dial
from instances.remote.errors import RemoteError, Unreachable
from instances.remote.host import Stream
from instances.remote.tls_probe import TlsObservation, probe_plaintext, probe_tls
from instances.runtime import admin_address

_TIMEOUT = 5.0
_OUTSIDE_TIMEOUT = 3.0
"""For a port that is perhaps closed by a rule that drops, which is only told by waiting."""
PLAIN_OPEN = {"plaintext-open", "NOAUTH", "DENIED"}


@dataclass(frozen=True, slots=True)
class Verified:
    """What was seen on the wire. ``source`` is ``panel`` or ``node``."""

    tls: TlsObservation
    source: str
    plaintext: str
    client_fingerprint: str
    tls_only: bool

    def sentences(self, authority: str) -> list[str]:
        """Say it for the record."""
        where = "from the panel" if self.source == "panel" else "on the node"
        said = f"verified {where}: {self.tls.protocol}, chain to “{authority}”, {_answer(self.tls)}"
        if self.tls_only:
            return [said, "the plain port is closed: TLS only"]
        return [said, f"the plain port answers as before ({self.plaintext})"]

    def as_json(self) -> dict[str, Any]:
        """Return the observation for storage."""
        return {
            **_shown(self.tls, self.source, self.client_fingerprint),
            "plaintext": self.plaintext,
            "condition": {
                "type": "Encrypted",
                "status": "true",
                "reason": "VerifiedFromPanel" if self.source == "panel" else "VerifiedOnNode",
                "message": f"{self.tls.protocol}, {_answer(self.tls)}",
            },
        }


def _shown(tls: TlsObservation, source: str, client_fingerprint: str) -> dict[str, Any]:
    return {
        "fingerprint": tls.fingerprint_sha256,
        "client_fingerprint": client_fingerprint,
        "protocol": tls.protocol,
        "cipher": tls.cipher,
        "not_after": tls.not_after.isoformat(),
        "names": list(tls.sans),
        "verified_from": source,
        "latency_ms": tls.latency_ms,
        "handshake_ms": tls.handshake_ms,
        "ping": tls.ping,
    }


def verify(
    node: NodeSession,
    spec: EncryptionSpec,
    issuer: Issuer,
    on_file: tuple[str, str],
    *,
    local: bool,
    plain_port: int,
) -> Verified:
    """Prove that the node serves the certificate that is in its files.

    Args:
        on_file: The fingerprints of the server's and the client's certificate there; where it was
            deleted, what is served must be one that was issued to the node.
        local: Whether the server listens on loopback alone, so that only the node can look.
        plain_port: What answers in plaintext, or is closed, as the settings say; 0 for none.

    Raises:
        StepFailed: It does not, with the cause, and with what was seen.
    """
    server, client = on_file
    seen, source = _look(node, spec, issuer, local=local)
    try:
        _judge(node, seen, server)
        plaintext = plaintext_of(node, plain_port, closed=spec.tls_only)
    except StepFailed as failure:
        raise StepFailed(failure.reason, _shown(seen, source, client)) from failure
    return Verified(
        tls=seen,
        source=source,
        plaintext=plaintext,
        client_fingerprint=client,
        tls_only=spec.tls_only,
    )


def _look(
    node: NodeSession, spec: EncryptionSpec, issuer: Issuer, *, local: bool
) -> tuple[TlsObservation, str]:
    name, port = node.brief.client_addresses[0], spec.tls_port
    on_node = admin_address(node.server) if local else name

    def shake(connect: Callable[[], Stream]) -> TlsObservation:
        return probe_tls(
            connect,
            server_name=name,
            ca_pem=issuer.trusted,
            client=node.brief.introduce() if spec.tls_auth_clients == "required" else None,
            username=node.brief.username or None,
            password=node.brief.password or None,
            timeout=_TIMEOUT,
            node=node.name,
        )

    if not local and panel_allowed(spec, name):
        try:
            return shake(lambda: dial(node.name, name, port, _TIMEOUT)), "panel"
        except Unreachable:
            if not spec.networks:
                raise
    return shake(lambda: node.host.connect(on_node, port, _TIMEOUT)), "node"


def panel_allowed(spec: EncryptionSpec, address: str) -> bool:
    """Say whether the panel is within the networks that the port is open to."""
    if not spec.networks:
        return True
    own = _own_address(address)
    return own is not None and any(
        ip_address(own) in ip_network(network) for network in spec.networks
    )


def _own_address(toward: str) -> str | None:
    """Return the address that the panel has toward another one; nothing is sent (connect(2))."""
    try:
        family, kind, proto, _, place = socket.getaddrinfo(toward, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.connect(place)
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _judge(node: NodeSession, seen: TlsObservation, on_file: str) -> None:
    """Compare what was seen with what must be.

    Raises:
        StepFailed: With the first thing that is wrong.
    """
    problem = None
    if not seen.chain_verified.ok:
        problem = Reason(seen.chain_verified.reason, seen.chain_verified.message)
    elif not seen.name_matches.ok:
        problem = Reason(seen.name_matches.reason, seen.name_matches.message)
    elif seen.fingerprint_sha256 not in ({on_file} if on_file else node.brief.certificates):
        problem = Reason(
            "OldCertificateServed",
            f"the server serves {seen.fingerprint_sha256}, its file holds {on_file or 'none'}",
        )
    elif "DENIED" in seen.ping:
        problem = Reason(
            "ProtectedMode",
            "protected mode answers -DENIED to other machines",
            "Set a password on the server, or choose protected_mode=no.",
        )
    elif seen.ping not in {"PONG", "NOAUTH"}:
        problem = Reason("NoPong", f"PING over TLS was answered with: {seen.ping}")
    if problem is not None:
        raise StepFailed(
            Reason(problem.code, f"{node.name}: {problem.message}.", problem.next_step)
        )


def plaintext_of(node: NodeSession, port: int, *, closed: bool) -> str:
    """Return what the plain port says, seen from the node itself; ``closed`` where it is.

    Args:
        port: Its number; 0 for none. With TLS alone it may be the TLS port's.
        closed: Whether it is to be closed.

    Raises:
        StepFailed: It does not answer any more, or still does.
    """
    if port == 0:
        return "closed"
    said = answer_on(node, port)
    if closed and said in PLAIN_OPEN:
        raise StepFailed(
            Reason(
                "PlainPortOpen",
                f"{node.name}: port {port} still answers in plaintext ({said}).",
                "Look with ss -ltnp on the node who listens there.",
            )
        )
    if not closed and said not in PLAIN_OPEN:
        raise StepFailed(
            Reason(
                "PlainPortSilent",
                f"{node.name}: the plain port {port} does not answer as before ({said}).",
                f"systemctl status {node.server.unit} on the node says how it is.",
            )
        )
    return "closed" if closed else said


def answer_on(node: NodeSession, port: int) -> str:
    """Return what a port answers on the node itself, as `probe_plaintext` has it."""
    return probe_plaintext(
        lambda: node.host.connect(admin_address(node.server), port, _TIMEOUT), _TIMEOUT
    )


def plaintext_outside(node: NodeSession, port: int) -> str:
    """Return what the plain port says to the panel; ``closed`` where there is none."""
    if port == 0:
        return "closed"
    address = node.brief.client_addresses[0]
    return probe_plaintext(
        lambda: dial(node.name, address, port, _OUTSIDE_TIMEOUT), _OUTSIDE_TIMEOUT
    )


def tls_closed(node: NodeSession, port: int) -> bool:
    """Say whether nothing answers on the TLS port of the node any more."""
    try:
        stream = node.host.connect(admin_address(node.server), port, _TIMEOUT)
    except RemoteError:
        return True
    stream.close()
    return False


def _answer(seen: TlsObservation) -> str:
    if seen.latency_ms is None:
        return "the server asks for a password, as it should"
    return f"PONG in {seen.latency_ms:.1f} ms"
