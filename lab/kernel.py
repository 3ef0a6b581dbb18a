"""Limits of this machine's kernel that many nodes run into. They are raised, never lowered."""

from pathlib import Path

_MANY = 20
_LIMITS = {
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 524288,
    "kernel/keys/maxkeys": 100_000,
    "kernel/keys/maxbytes": 25_000_000,
    "net/ipv4/neigh/default/gc_thresh3": 4096,
}


def raise_limits(nodes: int) -> None:
    """Make room for a lab of this many nodes."""
    if nodes < _MANY:
        return
    for name, wanted in _LIMITS.items():
        path = Path("/proc/sys") / name
        if path.exists() and int(path.read_text()) < wanted:
            path.write_text(str(wanted))
