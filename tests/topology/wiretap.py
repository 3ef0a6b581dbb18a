"""What goes over a lab's bridge, heard as somebody on the same network hears it."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_ALL = 0x0003  # ETH_P_ALL, linux/if_ether.h


@dataclass
class Heard:
    """Every frame while it was listened."""

    frames: list[bytes] = field(default_factory=list)

    def __contains__(self, marked: bytes) -> bool:
        return any(marked in frame for frame in self.frames)


@contextmanager
def listening(address: str) -> Iterator[Heard]:
    """Listen on the cables of the bridge through which an address is reached, inside the block.

    A bridge's own device hears what the host takes part in; what nodes say to each other goes from
    cable to cable.
    """
    heard, over = Heard(), threading.Event()
    taps = [_tap(cable) for cable in _cables(address)]
    threads = [threading.Thread(target=_hear, args=(tap, heard, over)) for tap in taps]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        over.set()
        for thread, tap in zip(threads, taps, strict=True):
            thread.join()
            tap.close()


def _cables(address: str) -> list[str]:
    route = _ip("route", "get", address).split()
    bridge = route[route.index("dev") + 1]
    lines = _ip("-o", "link", "show", "master", bridge).splitlines()
    return [line.split(": ")[1].partition("@")[0] for line in lines]


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


def _tap(cable: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    tap.bind((cable, 0))
    tap.settimeout(0.2)
    return tap


def _hear(tap: socket.socket, heard: Heard, over: threading.Event) -> None:
    while not over.is_set():
        try:
            heard.frames.append(tap.recv(65536))
        except TimeoutError:
            continue
