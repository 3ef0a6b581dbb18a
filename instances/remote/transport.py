"""paramiko's Transport, tuned for many short sessions, with a pinned host key."""

import contextlib
import io
import logging
import socket
import threading
from collections.abc import Iterator, Sequence

import paramiko
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from paramiko.ssh_exception import AuthenticationException, IncompatiblePeer, SSHException

from instances.remote.dial import dial
from instances.remote.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostKeyChanged,
    RemoteError,
    Unreachable,
)
from instances.remote.keys import KeyUnusable, PrivateKey, load_private
from instances.secret import Secret

# What it has to say reaches callers as exceptions; without a handler it would print to stderr.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_KEX = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")
# GCM needs one call into OpenSSL a packet; CTR needs an HMAC in Python besides.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
KEEPALIVE = 10


class Transport(paramiko.Transport):
    """A Transport that looks ten times less often whether it was closed."""

    _active_check_timeout = 1.0


class PromptSocket(socket.socket):
    """Acknowledges at once: sshd sends small packets with Nagle's algorithm, which otherwise
    waits up to 40 ms for each acknowledgement.
    """

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        chunk = super().recv(size, flags)
        with contextlib.suppress(OSError):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return chunk

    def close(self) -> None:
        """Wake the thread that is reading, then close."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        super().close()


def dial_ssh(node: str, address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection fit for a Transport; raises Unreachable."""
    sock = dial(node, address, port, timeout)
    return PromptSocket(fileno=sock.detach()) if hasattr(socket, "TCP_QUICKACK") else sock


def new_transport(sock: socket.socket | paramiko.Channel, key_types: Sequence[str]) -> Transport:
    """A Transport that has not spoken yet and accepts these host key types only."""
    transport = Transport(sock)
    options = transport.get_security_options()
    options.kex = _first(_KEX, options.kex)
    options.ciphers = _first(_CIPHERS, options.ciphers)
    options.key_types = [kind for kind in key_types if kind in options.key_types]
    return transport


def host_key_types(host_key: str) -> tuple[str, ...]:
    """The signature algorithms that prove this host key."""
    kind = host_key.split(maxsplit=1)[0]
    return _RSA if kind == "ssh-rsa" else (kind,)


def exchange_keys(node: str, transport: Transport, timeout: float) -> str:
    """Do the key exchange and return the machine's host key line. No login is tried."""
    try:
        with deadline(transport, timeout):
            transport.start_client(timeout=timeout)
            key = transport.get_remote_server_key()
    except IncompatiblePeer as e:
        raise _incompatible(node, e) from e
    except (SSHException, EOFError, OSError) as e:
        raise Unreachable(
            node,
            "something answers there, but the SSH key exchange did not complete",
            reason="HandshakeFailed",
            next_step="Check that the port is sshd's, and that it is not overloaded.",
        ) from e
    return f"{key.get_name()} {key.get_base64()}"


def log_in(node: str, transport: Transport, user: str, key: Secret, timeout: float) -> None:
    """Log in with a private key; raises AuthenticationFailed."""
    transport.auth_timeout = timeout
    try:
        with deadline(transport, timeout):
            transport.auth_publickey(user, paramiko_key(node, key))
    except AuthenticationException as e:
        raise AuthenticationFailed(node, f"the machine refused the login of {user}") from e
    except (SSHException, EOFError, OSError) as e:
        raise ConnectionLost(node, f"the connection ended during the login of {user}") from e
    transport.set_keepalive(KEEPALIVE)


def paramiko_key(node: str, private: Secret) -> paramiko.PKey:
    """The key as paramiko wants it; raises AuthenticationFailed (PrivateKeyUnusable)."""
    try:
        return _class_for(load_private(private)).from_private_key(io.StringIO(private.reveal()))
    except (KeyUnusable, SSHException) as e:
        raise AuthenticationFailed(
            node,
            str(e),
            reason="PrivateKeyUnusable",
            next_step="Store another private key in the machine's credential.",
        ) from e


def _class_for(key: PrivateKey) -> type[paramiko.Ed25519Key | paramiko.ECDSAKey | paramiko.RSAKey]:
    match key:
        case Ed25519PrivateKey():
            return paramiko.Ed25519Key
        case EllipticCurvePrivateKey():
            return paramiko.ECDSAKey
        case RSAPrivateKey():
            return paramiko.RSAKey


@contextlib.contextmanager
def deadline(transport: paramiko.Transport, seconds: float) -> Iterator[None]:
    """Close the transport when the block takes longer: some of paramiko's waits have no end."""
    timer = threading.Timer(seconds, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _first(wanted: Sequence[str], offered: Sequence[str]) -> list[str]:
    have = [name for name in wanted if name in offered]
    return have + [name for name in offered if name not in have]


def _incompatible(node: str, error: IncompatiblePeer) -> RemoteError:
    if "host key" in str(error):
        return HostKeyChanged(
            node,
            "the machine no longer offers a host key of the pinned type",
            reason="HostKeyTypeGone",
        )
    return Unreachable(
        node,
        "the machine's sshd shares no key exchange or cipher with the panel",
        reason="NoCommonAlgorithm",
        next_step="Allow curve25519-sha256 and aes128-gcm or aes128-ctr in its sshd_config.",
    )
