"""Run a program of the host, and say clearly what failed."""

import shutil
import subprocess

# The package that brings each program the lab needs on Debian.
PACKAGE_OF = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "unshare": "util-linux",
    "make": "build-essential",
    "cc": "build-essential",
}


class LabError(Exception):
    """Something the lab could not do; the message says what, on which node, and what to do."""


def require_programs(*programs: str) -> None:
    """Raise LabError naming the packages of the programs that are missing."""
    missing = sorted({PACKAGE_OF[name] for name in programs if shutil.which(name) is None})
    if missing:
        raise LabError(f"Missing on this machine: apt-get install {' '.join(missing)}")


def run(argv: list[str], *, stdin: str | None = None, timeout: float = 30) -> str:
    """Run a program and return what it printed; raise LabError when it fails."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        require_programs(*(name for name in argv[:1] if name in PACKAGE_OF))
        raise LabError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{argv[0]} did not end within {timeout:.0f} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(argv[:4])} failed with status {done.returncode}: {said[-2000:]}")
    return done.stdout
