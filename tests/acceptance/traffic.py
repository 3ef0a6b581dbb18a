"""Clients of a server, in a process of their own: ``python -m tests.acceptance.traffic ADDRESS``.

It prints ``ready``, goes on until its input ends, and prints what went wrong as JSON. With
``--root FILE`` all of them speak TLS and trust what is in the file. With ``--pings`` it sends one
PING after the other instead, and prints the longest silence between two answers, in milliseconds.
"""

import json
import socket
import ssl
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field

PORT, TLS_PORT = 6379, 6380
EACH = 10
_BATCH = 20
_PAUSE = 0.01


class Connection:
    """A connection that speaks just enough of the protocol.

    Args:
        address: The server's.
        trusts: For TLS; plain where it is left out.
    """

    def __init__(self, address: str, trusts: ssl.SSLContext | None = None) -> None:
        port = TLS_PORT if trusts else PORT
        self.socket = socket.create_connection((address, port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.serial = ""
        if trusts is not None:
            secured = trusts.wrap_socket(self.socket, server_hostname=address)
            self.serial = str((secured.getpeercert() or {})["serialNumber"])
            self.socket = secured
        self._reader = self.socket.makefile("rb")

    def send(self, *commands: tuple[str, ...]) -> None:
        lines = [f"*{len(words)}\r\n" + "".join(map(_bulk, words)) for words in commands]
        self.socket.sendall("".join(lines).encode())

    def reply(self) -> object:
        """Read one reply; raises ConnectionError where there is none, RuntimeError for errors."""
        line = self._reader.readline()
        if not line:
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:].strip()
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            return None if rest == b"-1" else self._reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest

    def ask(self, *words: str) -> object:
        self.send(words)
        return self.reply()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()


def _bulk(word: str) -> str:
    return f"${len(word)}\r\n{word}\r\n"


@dataclass
class Traffic:
    """Connections that stay, `each` of them idle, subscribed, blocked and pipelining, and one that
    comes and goes. ``serials`` are of the certificates that this one was shown.
    """

    address: str
    each: int = EACH
    pause: float = _PAUSE
    trusts: ssl.SSLContext | None = None
    problems: list[str] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    connections: int = 0
    messages: int = 0
    serials: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, ready: Callable[[], None], until: Callable[[], object]) -> dict[str, object]:
        """Be at work from `ready` on, as long as `until` takes."""
        self.written = [0] * self.each
        idle, subscribed, blocked = ([self._connect() for _ in self.written] for _ in range(3))
        for place, connection in enumerate(subscribed):
            connection.ask("SUBSCRIBE", f"channel-{place}")
        for place, connection in enumerate(blocked):
            connection.send(("BLPOP", f"queue-{place}", "0"))
        places = range(self.each)
        jobs = [threading.Thread(target=self._pipeline, args=[place]) for place in places]
        jobs.append(threading.Thread(target=self._come_and_go))
        for job in jobs:
            job.start()
        ready()
        until()
        self._over.set()
        for job in jobs:
            job.join()
        self._finally(idle, subscribed, blocked)
        return {
            "problems": self.problems,
            "keys": sum(self.written),
            "connections": self.connections,
            "messages": self.messages,
            "serials": self.serials,
        }

    def _connect(self) -> Connection:
        return Connection(self.address, self.trusts)

    def _pipeline(self, place: int) -> None:
        """Write numbered keys, a batch at a time, over one connection."""
        with self._noticed(f"pipelining client {place}"):
            connection = self._connect()
            while not self._over.is_set():
                first = self.written[place]
                numbers = range(first, first + _BATCH)
                connection.send(*(("SET", f"key-{place}-{n}", str(n)) for n in numbers))
                for _ in numbers:
                    connection.reply()
                self.written[place] += _BATCH
                time.sleep(self.pause)
            connection.close()

    def _come_and_go(self) -> None:
        while not self._over.is_set():
            with self._noticed(f"connection {self.connections}"):
                connection = self._connect()
                if connection.serial not in self.serials:
                    self.serials.append(connection.serial)
                connection.ask("PUBLISH", f"channel-{self.connections % self.each}", "news")
                connection.close()
            self.connections += 1
            time.sleep(_PAUSE / 4)

    def _finally(
        self, idle: list[Connection], subscribed: list[Connection], blocked: list[Connection]
    ) -> None:
        """See that each connection that stayed still works, and that every key is there."""
        for place, connection in enumerate(idle):
            with self._noticed(f"idle client {place}"):
                assert connection.ask("PING") == b"PONG"
        for place, connection in enumerate(blocked):
            with self._noticed(f"blocked client {place}"):
                assert idle[0].ask("RPUSH", f"queue-{place}", "work") == b"1"
                assert connection.reply() == [f"queue-{place}".encode(), b"work"]
        for place, connection in enumerate(subscribed):
            with self._noticed(f"subscribed client {place}"):
                idle[0].ask("PUBLISH", f"channel-{place}", "end")
                while (message := connection.reply()) != _message(place, b"end"):
                    assert message == _message(place, b"news"), message
                    self.messages += 1
        for place, written in enumerate(self.written):
            idle[0].send(*(("GET", f"key-{place}-{n}") for n in range(written)))
            lost = [n for n in range(written) if idle[0].reply() != str(n).encode()]
            self.problems += [f"key-{place}-{n} is lost" for n in lost]
        if self.messages != self.connections:
            self.problems.append(f"{self.connections - self.messages} messages are lost")

    def _noticed(self, who: str) -> "_Noticed":
        return _Noticed(who, self.problems)


@dataclass
class _Noticed:
    """Turns whatever happens to a client into a sentence."""

    who: str
    problems: list[str]

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is not None:
            self.problems.append(f"{self.who}: {type(error).__name__}: {error}")
        return True


def _message(place: int, text: bytes) -> list[bytes]:
    return [b"message", f"channel-{place}".encode(), text]


def longest_silence(address: str, until: threading.Event) -> float:
    """PING without a pause, over a new connection where one breaks, and return milliseconds."""
    connection: Connection | None = None
    last, longest = time.monotonic(), 0.0
    while not until.is_set():
        try:
            connection = connection or Connection(address)
            connection.ask("PING")
        except (OSError, RuntimeError):
            connection = None
            time.sleep(0.0005)
            continue
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        time.sleep(0.0005)
    return longest * 1000


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--pings", action="store_true")
    parser.add_argument("--root")
    parser.add_argument("--each", type=int, default=EACH)
    parser.add_argument("--pause", type=float, default=_PAUSE, help="seconds between two batches")
    options = parser.parse_args()
    if options.pings:
        over = threading.Event()
        threading.Thread(target=_wait_for_the_end, args=[over], daemon=True).start()
        _say("ready")
        _say(str(longest_silence(options.address, over)))
    else:
        trusts = ssl.create_default_context(cafile=options.root) if options.root else None
        traffic = Traffic(options.address, options.each, options.pause, trusts)
        _say(json.dumps(traffic.run(lambda: _say("ready"), sys.stdin.read)))


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main()
