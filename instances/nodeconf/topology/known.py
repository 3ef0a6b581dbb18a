"""The servers that are managed here, and by what they are known when others speak of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.seen import Role, Seen, Watch

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Known:
    """A managed server.

    Args:
        key: Its number in the database.
        hosts: Names and addresses of it and of its machine.
        ports: On which it is met, beside those that it has been seen to have.
        seen: What it said of those around it; None where it never did.
        seen_at: When it said so.
        silent: Why it does not answer now; empty where it did at the latest look.
    """

    key: int
    name: str
    hosts: frozenset[str]
    ports: frozenset[int] = frozenset()
    seen: Seen | None = None
    seen_at: datetime | None = None
    silent: str = ""

    @property
    def main_place(self) -> str:
        """Where it is met, in words for people: an address if there is one, and its port."""
        hosts = sorted(self.hosts, key=lambda host: (not _numeric(host), host))
        ports = (self.seen.port or self.seen.tls_port if self.seen else 0) or min(
            self.ports, default=0
        )
        return str(Place(hosts[0], ports)) if hosts and ports else "".join(hosts[:1])


def plain_host(text: str) -> str:
    """Return a name or an address in the one form in which they are compared."""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return text.lower().rstrip(".")
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def _numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Register:
    """Finds who is meant when a server speaks of another."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.known: Sequence[Known] = tuple(known)
        self._by_place: dict[tuple[str, int], Known] = {}
        self._by_host: dict[str, Known] = {}
        self._portless: dict[str, Known] = {}
        self._by_id: dict[str, Known] = {}
        for each in self.known:
            for host, port in _places(each):
                self._by_place.setdefault((host, port), each)
            for host in map(plain_host, each.hosts):
                if each.seen is None or each.seen.role is Role.SENTINEL:
                    self._by_host.setdefault(host, each)
                if not each.ports and each.seen is None:
                    self._portless.setdefault(host, each)
            for number in _ids(each):
                self._by_id[number] = each

    def find(self, place: Place, teller: Known | None = None, number: str = "") -> Known | None:
        """Return the managed server at a place; None where there is none.

        Args:
            place: As it was told; port 0 for that of a Sentinel, which does not tell it.
            teller: Who told: its loopback is its own machine.
            number: The other's id, where it was told: of a cluster's node, of a Sentinel, or of a
                run.
        """
        if number in self._by_id:
            return self._by_id[number]
        host = plain_host(place.address)
        hosts = sorted(teller.hosts) if teller and host in _LOOPBACK else [host]
        for each in hosts:
            found = self._by_host.get(each)
            if place.port:
                # Of one that nobody has seen yet no port is known: it may be any.
                found = self._by_place.get((each, place.port)) or self._portless.get(each)
            if found is not None:
                return found
        return None

    def concerns(self, watch: Watch, teller: Known | None = None) -> bool:
        """Say whether what a Sentinel watches is anything of ours: it may watch others' too.

        Where Sentinels alone are managed here, all is that they watch.
        """
        data = any(each.seen is None or each.seen.role is not Role.SENTINEL for each in self.known)
        watched = (watch.primary, *watch.replicas)
        return not data or any(self.find(each.place, teller, each.id) for each in watched)


def _places(known: Known) -> Iterator[tuple[str, int]]:
    seen = known.seen
    ports = {*known.ports, *((seen.port or 0, seen.tls_port or 0) if seen else ())} - {0}
    for host in map(plain_host, known.hosts):
        yield from ((host, port) for port in ports)
    for place in seen.announced if seen else ():
        announced = {place.port} if place.port else ports
        yield from ((plain_host(place.address), port) for port in announced)
    if seen and seen.cluster:
        own = (each for each in seen.cluster.nodes if each.id == seen.cluster.me)
        yield from ((plain_host(each.place.address), each.place.port) for each in own)


def _ids(known: Known) -> Iterator[str]:
    seen = known.seen
    if seen is not None:
        told = (seen.run_id, seen.sentinel_id, seen.cluster.me if seen.cluster else "")
        yield from (each for each in told if each)
