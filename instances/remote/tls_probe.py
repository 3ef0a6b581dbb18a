"""What a client sees at a server's port: a real handshake and a real PING."""

import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from instances.remote.certificate_names import Verdict, name_verdict, subject_alternative_names
from instances.remote.errors import RemoteError, ServerRefused, TlsFailed, Unreachable
from instances.remote.host import Stream
from instances.remote.server import connect_redis
from instances.remote.tls_stream import TlsClient, TlsStream, client_context
from instances.secret import Secret

Connect = Callable[[], Stream]
_UNVERIFIED = {"ChainInvalid", "Expired", "NotYetValid"}
_ANSWERS = {b"-NOAUTH": "NOAUTH", b"-DENIED": "DENIED"}


@dataclass(frozen=True, slots=True)
class TlsObservation:
    """What a server showed.

    Args:
        protocol: As in "TLSv1.3".
        cipher: OpenSSL's name of the cipher suite.
        fingerprint_sha256: Of the leaf in DER, upper-case hex with colons.
        sans: Subject alternative names, as in "DNS:redis-1" and "IP:10.0.0.1".
        chain_verified: OpenSSL's verdict against the authorities given (dates included).
        name_matches: Whether the name asked for is among the sans.
        ping: "PONG", "NOAUTH", or the error's text.
        latency_ms: Of the PING; None where none was answered.
        handshake_ms: Of the handshake alone.
    """

    protocol: str
    cipher: str
    fingerprint_sha256: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    sans: tuple[str, ...]
    chain_verified: Verdict
    name_matches: Verdict
    ping: str
    latency_ms: float | None
    handshake_ms: float


def probe_tls(
    connect: Connect,
    *,
    server_name: str,
    ca_pem: str,
    client: tuple[str, Secret] | None = None,
    username: str | None = None,
    password: Secret | None = None,
    timeout: float = 5.0,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    node: str = "",
) -> TlsObservation:
    """Shake hands, look at the certificate, send PING.

    OpenSSL judges the chain, as it does for most clients. Where it says no, a second handshake
    that verifies nothing sees what is there all the same. Under TLS 1.3 a rejected client
    certificate shows in `ping`; under TLS 1.2 it is TlsFailed (ClientCertificateRejected).

    User and password are sent only where both chain and name are right: anybody could have
    answered otherwise.

    Args:
        connect: Opens a fresh stream to the port; called twice where verification fails.
        server_name: The DNS name or IP address the certificate should hold.
        ca_pem: The authorities to trust, PEM.
        client: Certificate and private key to present.
        username: The ACL user to log in with before the PING.
        password: Its password.
        timeout: Seconds for each step.
        minimum: The oldest TLS version to accept.
        node: What errors call the server; the server name where it is left out.

    Raises:
        TlsFailed: There is no session. Unreachable: there is no connection.
    """
    node = node or server_name
    tls = TlsClient(server_name, ca_pem, client, minimum)
    verdict = Verdict(ok=True, reason="Trusted", message="the chain leads to a trusted authority")
    try:
        stream, handshake_ms = _shake_hands(node, connect, tls, timeout, verify=True)
    except TlsFailed as e:
        if e.reason not in _UNVERIFIED:
            raise _explained(node, connect, e, timeout) from e
        verdict = Verdict(ok=False, reason=e.reason, message=e.message)
        stream, handshake_ms = _shake_hands(node, connect, tls, timeout, verify=False)
    with contextlib.closing(stream):
        # Before the PING: a session that the server ends forgets its certificate.
        seen = _observation(stream, server_name, verdict, handshake_ms)
        login = (username, password) if verdict.ok and seen.name_matches.ok else (None, None)
        ping, latency_ms = _ping(node, stream, *login, timeout)
        return replace(seen, ping=ping, latency_ms=latency_ms)


def served_fingerprint(
    connect: Connect, *, server_name: str, timeout: float = 5.0, node: str = ""
) -> str:
    """Return the fingerprint of what a server shows in a handshake, whoever issued it.

    Raises:
        TlsFailed: There is no session. Unreachable: there is no connection.
    """
    tls = TlsClient(server_name, ca_pem="")
    stream, _ = _shake_hands(node or server_name, connect, tls, timeout, verify=False)
    with contextlib.closing(stream):
        leaf = x509.load_der_x509_certificate(stream.session.getpeercert(binary_form=True) or b"")
        return _fingerprint(leaf)


def probe_plaintext(connect: Connect, timeout: float = 5.0) -> str:
    """What a port says to a plaintext PING.

    Returns:
        "plaintext-open", "NOAUTH" or "DENIED" (plaintext is served), "tls" (the connection is
        ended, as a TLS port does), "refused", "filtered" (no answer to the connection),
        "silent" (connected, no answer), "unreachable" or "other".
    """
    try:
        stream = connect()
    except Unreachable as e:
        return {"ConnectionRefused": "refused", "ConnectTimeout": "filtered"}.get(
            e.reason, "unreachable"
        )
    with contextlib.closing(stream):
        return _plaintext_answer(stream, timeout)


def _shake_hands(
    node: str, connect: Connect, tls: TlsClient, timeout: float, *, verify: bool
) -> tuple[TlsStream, float]:
    context = client_context(node, tls, verify=verify)
    plain = connect()
    plain.settimeout(timeout)
    stream = TlsStream(node, plain, context, tls.server_name)
    began = time.perf_counter()
    try:
        stream.handshake()
    except BaseException:
        stream.close()
        raise
    return stream, _since(began)


def _explained(node: str, connect: Connect, error: TlsFailed, timeout: float) -> TlsFailed:
    # A plaintext server waits for the end of a line, so a handshake with it hangs.
    answered = error.reason == "HandshakeTimeout" and probe_plaintext(connect, timeout)
    if answered not in {"plaintext-open", "NOAUTH", "DENIED"}:
        return error
    return TlsFailed(node, "the port answers in plaintext, not TLS", reason="PlaintextPort")


def _ping(
    node: str, stream: TlsStream, username: str | None, password: Secret | None, timeout: float
) -> tuple[str, float | None]:
    """The answer and its milliseconds."""
    try:
        client = connect_redis(
            node, lambda: stream, username=username, password=password, timeout=timeout
        )
        began = time.perf_counter()
        return str(client.execute("PING")), _since(began)
    except ServerRefused as e:
        return ("NOAUTH" if e.reason == "PasswordNeeded" else e.message), None
    except RemoteError as e:
        return e.message, None


def _observation(
    stream: TlsStream, name: str, chain: Verdict, handshake_ms: float
) -> TlsObservation:
    leaf = x509.load_der_x509_certificate(stream.session.getpeercert(binary_form=True) or b"")
    cipher = stream.session.cipher()
    sans = subject_alternative_names(leaf)
    return TlsObservation(
        protocol=stream.session.version() or "",
        cipher=cipher[0] if cipher else "",
        fingerprint_sha256=_fingerprint(leaf),
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        sans=sans,
        chain_verified=chain,
        name_matches=name_verdict(name, sans),
        ping="",
        latency_ms=None,
        handshake_ms=handshake_ms,
    )


def _fingerprint(leaf: x509.Certificate) -> str:
    return leaf.fingerprint(hashes.SHA256()).hex(":").upper()


def _plaintext_answer(stream: Stream, timeout: float) -> str:
    stream.settimeout(timeout)
    try:
        stream.sendall(b"PING\r\n")
        answer = stream.recv(512)
    except TimeoutError:
        return "silent"
    except OSError:
        return "tls"
    # Byte 21 begins a TLS alert.
    if not answer or answer[:1] == b"\x15":
        return "tls"
    known = _ANSWERS.get(answer[:7])
    return known or ("plaintext-open" if answer[:1] in {b"+", b"-"} else "other")


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
