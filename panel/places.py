"""Where the panel keeps its state: one directory, found without variables."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# A Unix socket's path has room for 107 bytes on Linux (unix(7), sun_path).
_SOCKET_PATH_MAX = 100


def state_directory(base: Path = BASE_DIR) -> Path:
    """Return the directory of database, keys, broker socket and logs.

    ``REDOUBT_STATE`` wins. Else a running demo's (``.demo/panel.json`` says where), so that
    ``manage.py`` typed beside ``make demo`` acts on the demo. Else ``var/`` in the checkout.
    """
    if chosen := os.environ.get("REDOUBT_STATE"):
        return Path(chosen).resolve()
    pointer = base / ".demo" / "panel.json"
    if pointer.exists():
        return Path(json.loads(pointer.read_text())["state"])
    return base / "var"


def broker_socket(state: Path) -> Path:
    """Return the path of the default broker's socket.

    A socket path too long for the kernel moves to a private directory under the temporary one.
    """
    wished = state / "broker.sock"
    if len(str(wished)) <= _SOCKET_PATH_MAX:
        return wished
    digest = hashlib.sha256(str(state).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"redoubt-{os.getuid()}-{digest}" / "broker.sock"
