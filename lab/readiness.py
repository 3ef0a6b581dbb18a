"""Wait until a node answers: sshd with its banner, the server with any reply to PING."""

import socket
import subprocess
import time
from collections.abc import Sequence

from lab.commands import LabError
from lab.inside import enter
from lab.spec import SSH_PORT
from lab.state import NodeFiles

READY_TIMEOUT = 60
_PAUSE = 0.05

# For a node whose server listens on loopback only, or whose cable is out.
_ASK_WITHIN = f"""\
exec 3<>/dev/tcp/127.0.0.1/{SSH_PORT} 4<>/dev/tcp/127.0.0.1/$1 || exit 1
read -rt 1 banner <&3; printf 'PING\\r\\n' >&4; read -rt 1 reply <&4
[[ $banner == SSH-* && $reply == [+-]* ]]
"""


def wait_ready(
    node: NodeFiles, address: str, port: int, *, outside: bool, guarded: Sequence[str] = ()
) -> None:
    """Return when sshd and the server answer.

    Args:
        node: the node, which is booting.
        address: its address on the lab's network.
        port: where its server, or its Sentinel, listens.
        outside: ask over the network; otherwise from within the node.
        guarded: a command that succeeds once the node's firewall is up, too.

    Raises:
        LabError: the node ended, or did not answer within READY_TIMEOUT seconds.
    """
    deadline = time.monotonic() + READY_TIMEOUT
    started = time.monotonic()
    answered = False
    while not answered:
        time.sleep(_PAUSE)
        answered = _answers(address, port) if outside else _answers_within(node, port)
        answered = answered and (not guarded or _succeeds(node, *guarded))
        if not answered and time.monotonic() > deadline:
            raise LabError(f"{node.root.name} did not answer in {READY_TIMEOUT} s; {_tail(node)}")
        if time.monotonic() > started + 5 and node.process("supervisor") is None:
            raise LabError(f"{node.root.name} ended while it booted; {_tail(node)}")


def _answers(address: str, port: int) -> bool:
    # The server first: each connection to sshd without a login costs it something.
    return _says(address, port, b"PING\r\n", b"+-") and _says(address, SSH_PORT, b"", b"S")


def _says(address: str, port: int, question: bytes, first: bytes) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(question)
            answer = connection.recv(1)
    except OSError:
        return False
    return bool(answer) and answer in first


def _answers_within(node: NodeFiles, port: int) -> bool:
    return _succeeds(node, "bash", "-c", _ASK_WITHIN, "ask", str(port))


def _succeeds(node: NodeFiles, *command: str) -> bool:
    try:
        argv = enter(node, list(command))
        return subprocess.run(argv, capture_output=True, timeout=5, check=False).returncode == 0
    except (LabError, subprocess.TimeoutExpired):
        return False


def _tail(node: NodeFiles) -> str:
    said = node.log.read_text(errors="replace")[-1500:] if node.log.exists() else ""
    return f"its console ({node.log}) said: {said.strip() or 'nothing'}"
