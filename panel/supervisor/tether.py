"""Processes that do not outlive the one that started them."""

import ctypes
import os
import signal

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child must not import.
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends.

    It holds over an exec. It is the parent's *thread* that counts (prctl(2)), so children are
    started from main threads.

    Args:
        parent: The parent's process id, taken before the fork: one that has ended since cannot
            be waited for any more.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
