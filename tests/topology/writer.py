"""A client that writes numbered keys all the while, and knows which were acknowledged."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

_PAUSE = 0.002
_SERIAL = itertools.count(1)


@dataclass
class Written:
    """What was acknowledged, and how long it took at worst.

    Args:
        serial: No other writer has it, so that none writes anew what was lost of another's.
        errors: What the client said where it gave a write up.
        longest_s: From the moment that a write was wanted until it was acknowledged.
    """

    serial: int
    last: int = 0
    errors: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    def key(self, number: int) -> str:
        return f"key-{self.serial}-{number}"

    @property
    def keys(self) -> list[str]:
        """Every key that was acknowledged."""
        return [self.key(number) for number in range(1, self.last + 1)]

    @property
    def values(self) -> list[bytes]:
        """What those keys hold."""
        return [str(number).encode() for number in range(1, self.last + 1)]


@contextmanager
def writing(client: "redis.Redis[bytes]") -> Iterator[Written]:
    """Write inside the block."""
    told, over = Written(next(_SERIAL)), threading.Event()

    def work() -> None:
        wanted = time.monotonic()
        while not over.is_set():
            try:
                client.set(told.key(told.last + 1), told.last + 1)
            except redis.RedisError as error:
                told.errors.append(str(error))
                continue
            told.last += 1
            told.longest_s = max(told.longest_s, time.monotonic() - wanted)
            time.sleep(_PAUSE)
            wanted = time.monotonic()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join(30)
        if thread.is_alive():
            told.errors.append("a write waits for its answer still")
