"""A client that writes numbered keys to a primary all the while, and knows which were taken."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

_PAUSE = 0.002


@dataclass
class Written:
    """What was acknowledged, and how long it took at worst."""

    last: int = 0
    errors: list[str] = field(default_factory=list)
    longest_s: float = 0.0


@contextmanager
def writing(client: "redis.Redis[bytes]") -> Iterator[Written]:
    """Write inside the block."""
    told, over = Written(), threading.Event()

    def work() -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                client.set(f"key-{told.last + 1}", told.last + 1)
            except redis.RedisError as error:
                told.errors.append(str(error))
                continue
            told.last += 1
            told.longest_s = max(told.longest_s, time.monotonic() - began)
            time.sleep(_PAUSE)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join(10)
