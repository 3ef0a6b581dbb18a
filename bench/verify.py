"""The judge of both: every node serves TLS with its own certificate, now and after a reboot.

It knows nothing of either contender but where files belong.
"""

import hashlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import Lab, LabNode

PORT = 6380
_PLAIN_PORT = 6379
_TIMEOUT = 5.0
_DIRECTORY = "/etc/redis/tls"
# One line an answer; each command may fail on its own.
_LOOK = f"""
grep -c '^tls-port {PORT}$' /etc/redis/redis.conf
grep -c 'tcp dport {PORT} accept' /etc/nftables.conf
nft list ruleset | grep -c 'tcp dport {PORT} accept'
stat -L -c '%a %U %G' {_DIRECTORY}/server/server.key
stat -L -c '%a %U %G' {_DIRECTORY}/client/client.key
"""
_EXPECTED = ["1", "1", "1", "640 root redis", "600 root root"]


class NotInstalled(Exception):  # noqa: N818 -- it reads as a sentence
    """A contender left nodes that are not as they should be."""


def verify(lab: Lab, nodes: Sequence[LabNode], authority: str) -> None:
    """Return where all nodes are right.

    Args:
        authority: The certificate that clients trust, PEM.

    Raises:
        NotInstalled: Some are not, with what is wrong with each.
    """
    with ThreadPoolExecutor(16) as threads:
        found = threads.map(lambda node: list(_faults(lab, node, authority)), nodes)
        faults = [fault for each in found for fault in each]
    if faults:
        raise NotInstalled("\n".join(faults))


def _faults(lab: Lab, node: LabNode, authority: str) -> Iterator[str]:
    try:
        served, answer = _over_tls(node.address, authority)
    except OSError as error:
        yield f"{node.name}: no TLS on {node.address}:{PORT}: {error}"
        return
    in_file = lab.exec(node.name, ["cat", f"{_DIRECTORY}/server/server.crt"]).stdout.decode()
    if served != ssl.PEM_cert_to_DER_cert(in_file):
        yield f"{node.name}: it serves {_fingerprint(served)}, which is not in its file"
    if answer != b"+PONG\r\n":
        yield f"{node.name}: PING over TLS was answered with {answer!r}"
    seen = lab.exec(node.name, ["bash", "-c", _LOOK]).stdout.decode().splitlines()
    if seen != _EXPECTED:
        yield f"{node.name}: expected {_EXPECTED}, found {seen}"
    with socket.create_connection((node.address, _PLAIN_PORT), _TIMEOUT) as plain:
        if (answer := _ping(plain)) != b"+PONG\r\n":
            yield f"{node.name}: the plain port answers {answer!r}"


def _over_tls(address: str, authority: str) -> tuple[bytes, bytes]:
    """Return the certificate of the node that has this address, and its answer to PING."""
    context = ssl.create_default_context(cadata=authority)
    with (
        socket.create_connection((address, PORT), _TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=address) as stream,
    ):
        return stream.getpeercert(binary_form=True) or b"", _ping(stream)


def _ping(stream: socket.socket) -> bytes:
    stream.sendall(b"PING\r\n")
    return stream.recv(64)


def _fingerprint(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()
