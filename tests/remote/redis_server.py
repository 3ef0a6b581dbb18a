"""A real redis-server with a plaintext port and a TLS port, and an authority for it."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from instances.secret import Secret
from tests.remote.sshd import free_port, wait_for_port


class Authority:
    def __init__(self) -> None:
        self.ca = trustme.CA(key_type=trustme.KeyType.ECDSA)

    @property
    def pem(self) -> str:
        return self.ca.cert_pem.bytes().decode()

    def leaf(self, *names: str, **options: object) -> tuple[str, Secret]:
        leaf = self.ca.issue_cert(*names, **options)  # type: ignore[arg-type]
        chain = "".join(each.bytes().decode() for each in leaf.cert_chain_pems)
        return chain, Secret(leaf.private_key_pem.bytes().decode())


@dataclass(frozen=True)
class RedisServer:
    port: int
    tls_port: int
    log: Path


@contextlib.contextmanager
def running_redis(
    folder: Path,
    authority: Authority,
    *options: str,
    leaf: tuple[str, Secret] | None = None,
) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        raise AssertionError("redis-server is missing: install the package redis-server")
    certificate, key = leaf or authority.leaf("127.0.0.1", "redis-1.example.org")
    (folder / "ca.crt").write_text(authority.pem)
    (folder / "redis.crt").write_text(certificate)
    (folder / "redis.key").write_text(key.reveal())
    port, tls_port = free_port(), free_port()
    arguments = {
        "port": port,
        "tls-port": tls_port,
        "tls-cert-file": folder / "redis.crt",
        "tls-key-file": folder / "redis.key",
        "tls-ca-cert-file": folder / "ca.crt",
        "dir": folder,
        "save": "",
        "logfile": folder / "log",
    }
    argv = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen([program, *argv, *options])
    try:
        wait_for_port(port, process)
        yield RedisServer(port, tls_port, folder / "log")
    finally:
        process.terminate()
        process.wait()
