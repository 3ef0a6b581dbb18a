"""TLS over any Stream: a socket or an SSH channel, which has no descriptor for `ssl` to wrap."""

import contextlib
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from instances.remote.errors import TlsFailed
from instances.remote.host import Stream
from instances.secret import Secret

T = TypeVar("T")
CHUNK = 32 * 1024

_NAME_CODES = {62, 63, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, _EMAIL_, _IP_ADDRESS_
_NOT_YET_VALID, _EXPIRED = 9, 10
_PLAINTEXT = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "RECORD_LAYER")
_VERSION = ("ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE")
_CLIENT = (
    "CERTIFICATE_REQUIRED",
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
)
_SAID = {
    "PlaintextPort": "the port answers in plaintext, not TLS",
    "ProtocolTooOld": "the server and the panel share no TLS version",
    "ClientCertificateRejected": "the server rejected the client certificate, or asks for one",
}


@dataclass(frozen=True, slots=True)
class TlsClient:
    """How to speak TLS to a server.

    Args:
        server_name: The DNS name or IP address that its certificate must hold.
        ca_pem: The authorities to trust, PEM.
        client: The client certificate (and chain) as PEM with its private key, or None.
        minimum: The oldest TLS version to accept.
    """

    server_name: str
    ca_pem: str
    client: tuple[str, Secret] | None = None
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2


class TlsStream:
    """A TLS session over a Stream; itself a Stream. Raises TlsFailed, TimeoutError or OSError."""

    def __init__(self, node: str, stream: Stream, context: ssl.SSLContext, name: str) -> None:
        self._node = node
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def handshake(self) -> None:
        """Do the handshake; a TimeoutError of the stream becomes TlsFailed (HandshakeTimeout)."""
        try:
            self._drive(self.session.do_handshake)
        except TimeoutError as e:
            message = "the server did not answer the TLS handshake"
            raise TlsFailed(self._node, message, reason="HandshakeTimeout") from e
        except OSError as e:
            message = "the server closed the connection during the TLS handshake"
            raise TlsFailed(self._node, message) from e

    def sendall(self, payload: bytes, /) -> None:
        if not payload:
            return
        try:
            self._drive(lambda: self.session.write(payload))
        except TimeoutError:
            raise
        except OSError:
            # A server that rejects us sends an alert and closes: its reason is still to be read.
            with contextlib.suppress(OSError):
                self.recv(1)
            raise

    def recv(self, size: int, /) -> bytes:
        try:
            return self._drive(lambda: self.session.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def settimeout(self, timeout: float | None, /) -> None:
        self._stream.settimeout(timeout)

    def shutdown(self, how: int, /) -> None:
        self._stream.shutdown(how)

    def close(self) -> None:
        self._stream.close()

    def _drive(self, step: Callable[[], T]) -> T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                raise
            except ssl.SSLError as e:
                raise tls_failed(self._node, e) from e
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._stream.sendall(self._outgoing.read())

    def _fill(self) -> None:
        chunk = self._stream.recv(CHUNK)
        if chunk:
            self._incoming.write(chunk)
        else:
            self._incoming.write_eof()


def open_tls(node: str, stream: Stream, tls: TlsClient) -> TlsStream:
    """A verified session: chain and name; raises TlsFailed and closes the stream."""
    context = client_context(node, tls)
    context.check_hostname = True
    secured = TlsStream(node, stream, context, tls.server_name)
    try:
        secured.handshake()
    except BaseException:
        stream.close()
        raise
    return secured


def client_context(node: str, tls: TlsClient, *, verify: bool = True) -> ssl.SSLContext:
    """A context that trusts `ca_pem` alone and leaves the name to the caller."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = tls.minimum
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if verify:
        context.load_verify_locations(cadata=tls.ca_pem)
    if tls.client is not None:
        _load_pair(node, context, *tls.client)
    return context


def tls_failed(node: str, error: ssl.SSLError) -> TlsFailed:
    """The TlsFailed for what OpenSSL said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = verification_reason(error)
        return TlsFailed(node, f"certificate: {error.verify_message}", reason=reason)
    reason = _alert_reason(error.reason or "")
    said = _SAID.get(reason, f"the TLS session failed: {error.reason or type(error).__name__}")
    return TlsFailed(node, said, reason=reason)


def verification_reason(error: ssl.SSLCertVerificationError) -> str:
    """NameMismatch, Expired, NotYetValid or ChainInvalid."""
    if error.verify_code in _NAME_CODES:
        return "NameMismatch"
    return {_EXPIRED: "Expired", _NOT_YET_VALID: "NotYetValid"}.get(
        error.verify_code, "ChainInvalid"
    )


def _alert_reason(reason: str) -> str:
    for parts, name in (
        (_PLAINTEXT, "PlaintextPort"),
        (_VERSION, "ProtocolTooOld"),
        (_CLIENT, "ClientCertificateRejected"),
    ):
        if any(part in reason for part in parts):
            return name
    return "HandshakeFailed"


def _load_pair(node: str, context: ssl.SSLContext, certificate: str, key: Secret) -> None:
    # `ssl` reads key files only. This one is in memory, ours alone, and gone when it is closed.
    pair = os.memfd_create("redoubt-client")
    try:
        os.write(pair, f"{certificate.strip()}\n{key.reveal().strip()}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{pair}")
    except ssl.SSLError as e:
        message = "the client certificate and its private key cannot be used together"
        raise TlsFailed(node, message, reason="KeyPairUnusable") from e
    finally:
        os.close(pair)
