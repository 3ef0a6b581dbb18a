"""A client elsewhere: openssl and plain sockets, nothing of the panel's."""

import socket
import subprocess
from pathlib import Path

TLS_PORT = 6380
PLAIN_PORT = 6379


def ping_over_tls(
    address: str,
    root: Path,
    *,
    port: int = TLS_PORT,
    password: str = "",
    client: tuple[Path, Path] | None = None,
) -> str:
    """PING through `openssl s_client`, and return all that it printed."""
    pair = ["-cert", str(client[0]), "-key", str(client[1])] if client else []
    login = f'AUTH "{_escaped(password)}"\r\n' if password else ""
    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", f"{address}:{port}", "-CAfile", str(root)),
            *("-verify_return_error", "-verify_ip", address, "-ign_eof", *pair),
        ],
        input=f"{login}PING\r\nQUIT\r\n".encode(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    return (done.stdout + done.stderr).decode(errors="replace")


def answers_over_tls(address: str, root: Path, *, port: int = TLS_PORT, password: str = "") -> bool:
    """Whether chain and address verify, and PING is answered with PONG."""
    said = ping_over_tls(address, root, port=port, password=password)
    return "Verify return code: 0 (ok)" in said and "+PONG" in said


def ping_plainly(address: str, port: int = PLAIN_PORT, *, password: str = "") -> str:
    """The last line of the answer, or the name of the error."""
    login = f'AUTH "{_escaped(password)}"\r\n' if password else ""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            connection.sendall(f"{login}PING\r\nQUIT\r\n".encode())
            answer = b""
            while part := connection.recv(4096):
                answer += part
    except OSError as error:
        return type(error).__name__
    return answer.decode().removesuffix("+OK\r\n").strip().splitlines()[-1]


def reachable(address: str, port: int) -> bool:
    """Whether a connection is accepted within two seconds."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def _escaped(password: str) -> str:
    return password.replace("\\", "\\\\").replace('"', '\\"')
