"""Who follows whom in a group: how that is put into words. `drawing` makes the picture of it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.template.defaultfilters import filesizeformat

from addons.encryption.bus_renewed import bus_is_renewed
from addons.health import counts_since
from instances.models import Node, NodeGroup
from instances.neighbours import Neighbour, known_around
from instances.nodeconf.topology.cluster import SLOTS
from instances.nodeconf.topology.disagreeing import disagreements
from instances.nodeconf.topology.encrypted import Encrypted, Wire
from instances.nodeconf.topology.known import Known
from instances.nodeconf.topology.picture import Bus, Guard, Kind, Link, Member, Topology
from instances.nodeconf.topology.seen import Down, Role
from instances.nodeconf.topology.strangers import Stranger
from instances.nodeconf.topology.whole import topology_of
from instances.reason import Reason
from instances.selectors import servers_at
from instances.topology import known_in
from panel.pages.state import BAD, OK, UNKNOWN, WAIT, Shown

NameOrder = tuple[bool, list[tuple[int, str]]]
MOST = 200
"""Servers that a page draws and lists; whoever has more reads them from the terminal."""
QUIET = 12
"""Seconds: a primary says something every ten (repl-ping-replica-period)."""
_WIRES: Mapping[Wire, tuple[str, str]] = {
    Wire.TLS: (OK, "TLS"),
    Wire.PLAIN: (WAIT, "plaintext"),
    Wire.UNKNOWN: (UNKNOWN, "unknown"),
}
_ROLES: Mapping[Role, str] = {
    Role.PRIMARY: "primary",
    Role.REPLICA: "replica",
    Role.SENTINEL: "Sentinel",
    Role.UNKNOWN: "role unknown",
}
_KINDS: Mapping[Kind, str] = {
    Kind.UNKNOWN: "Not known yet",
    Kind.STANDALONE: "Standalone",
    Kind.REPLICATION: "Primary and replicas",
    Kind.SENTINEL: "Watched by Sentinels",
    Kind.CLUSTER: "Cluster",
}


@dataclass(frozen=True, slots=True)
class LinkShown:
    """A link, in words.

    Args:
        state: Whether it is up.
        wire: Whether it is encrypted, with what tells.
        lag: How far behind the replica was; empty for unknown.
    """

    to: str
    state: Shown
    wire: Shown
    lag: str


@dataclass(frozen=True, slots=True)
class WatchShown:
    """What a Sentinel watches, by the Sentinels' name for it, and over what."""

    name: str
    wire: Shown


@dataclass(frozen=True, slots=True)
class MemberShown:
    """A server, in words.

    Args:
        home: Where it is at home, where that is another group; None for this one, or nowhere.
        elsewhere: The node that is on the machine of one that is not managed; None for none.
        slots: The cluster's slots that it serves; empty for none.
        watches: What a Sentinel watches.
    """

    member: Member
    state: Shown
    role: str
    link: LinkShown | None = None
    home: Neighbour | None = None
    elsewhere: Node | None = None
    slots: str = ""
    watches: Sequence[WatchShown] = ()

    @property
    def called(self) -> str:
        """Its name, where its group stands beside it."""
        return self.home.name if self.home else self.member.name

    @property
    def managed(self) -> bool:
        """Whether it is a node of this group, or of another one."""
        return self.member.node is not None


@dataclass(frozen=True, slots=True)
class GuardShown:
    """A primary that Sentinels watch, in words."""

    guard: Guard
    primary: str
    says: str
    state: Shown


@dataclass(frozen=True, slots=True)
class TopologyPage:
    """A group's topology.

    Args:
        title: What sort it is.
        says: The same in a sentence, with figures.
        shown: The worst of it.
        disagreements: Where its nodes contradict each other.
        members: As the table lists them, few enough for a page; ``more`` are left out.
        bus: Of a cluster: whether its bus is encrypted.
        cut: Pairs of names between which the bus has no link.
        addable: Addresses of servers that are not managed here, nor anywhere.
        strangers: How many servers are not managed here.
        neighbours: How many are managed in other groups; ``homes`` has one of each of those groups.
    """

    kind: Kind
    title: str
    says: str
    shown: Shown
    topology: Topology
    disagreements: Sequence[Reason] = ()
    members: Sequence[MemberShown] = ()
    more: int = 0
    guards: Sequence[GuardShown] = ()
    bus: Shown | None = None
    cut: Sequence[tuple[str, str]] = ()
    addable: Sequence[str] = ()
    strangers: int = 0
    neighbours: int = 0
    homes: Sequence[Neighbour] = ()
    stale: bool = False
    by_key: Mapping[str, MemberShown] = field(default_factory=dict)


def topology_page(group: NodeGroup, now: datetime) -> TopologyPage:
    """Collect it, in a few queries."""
    own = known_in(group.pk)
    known, homes = known_around(group, own)
    groups = {group.pk, *(each.group_key for each in homes.values())}
    topology = topology_of(known, renewed=bus_is_renewed(groups))
    elsewhere = _elsewhere(topology.strangers)
    shown = [_member(each, topology, homes, elsewhere) for each in _sorted(topology)]
    guards = [_guard(each, topology) for each in topology.guards]
    bus = _wire(topology.bus.encrypted) if topology.bus else None
    stale = topology.oldest is not None and topology.oldest <= counts_since(now)
    return TopologyPage(
        kind=topology.kind,
        title=_KINDS[topology.kind],
        says=says(topology),
        shown=_worst(shown, guards, topology, stale=stale),
        topology=topology,
        disagreements=disagreements(own),
        members=shown[:MOST],
        more=len(shown[MOST:]),
        guards=guards,
        bus=bus,
        cut=[(_name(topology, a), _name(topology, b)) for a, b in _cut(topology.bus)],
        addable=addable(topology.strangers, elsewhere, known),
        strangers=sum(not each.managed for each in shown),
        neighbours=len(homes),
        homes=list({each.group_key: each for each in homes.values()}.values()),
        stale=stale,
        by_key={each.member.key: each for each in shown},
    )


def strangers_to_add(group: NodeGroup) -> list[str]:
    """Return the addresses of servers that belong to a group and that nobody has registered."""
    known, _ = known_around(group, known_in(group.pk))
    found = topology_of(known).strangers
    return addable(found, _elsewhere(found), known)


def addable(
    strangers: Iterable[Stranger], elsewhere: Mapping[str, Node], known: Iterable[Known]
) -> list[str]:
    """Return addresses that can be registered: those of machines that the panel does not know."""
    ours = {host for each in known for host in each.hosts}
    addresses = dict.fromkeys(each.place.address for each in strangers)
    return [each for each in addresses if each not in elsewhere and each not in ours]


def _elsewhere(strangers: Iterable[Stranger]) -> dict[str, Node]:
    addresses = [each.place.address for each in strangers]
    return {node.machine.address: node for node in servers_at(addresses)} if addresses else {}


def _cut(bus: Bus | None) -> Sequence[tuple[str, str]]:
    return bus.cut if bus else ()


def _sorted(topology: Topology) -> list[Member]:
    """Return primaries with their replicas below them, then Sentinels."""
    first = {each.key: (_first_slot(each), name_order(each)) for each in topology.members}

    def place(each: Member) -> tuple[bool, tuple[int, NameOrder], bool, NameOrder]:
        root = each.link.primary if each.link else each.key
        sentinel = each.role is Role.SENTINEL
        return sentinel, first.get(root, first[each.key]), each.link is not None, name_order(each)

    return sorted(topology.members, key=place)


def name_order(member: Member) -> NameOrder:
    """Return what sorts servers: ours first, by name, numbers in it by their size."""
    words = re.split(r"(\d+)", member.name)
    return member.node is None, [
        (int(word or 0) if word.isdecimal() else 0, word) for word in words
    ]


def _first_slot(member: Member) -> int:
    return member.slots[0][0] if member.slots else SLOTS


def _name(topology: Topology, key: str) -> str:
    return next((each.name for each in topology.members if each.key == key), key.removeprefix("@"))


def _member(
    each: Member,
    topology: Topology,
    homes: Mapping[int, Neighbour],
    elsewhere: Mapping[str, Node],
) -> MemberShown:
    host = each.place.rpartition(":")[0].strip("[]") or each.place
    other = elsewhere.get(host) if each.node is None else None
    return MemberShown(
        member=each,
        state=_state(each, other),
        role=_ROLES[each.role],
        watches=[_watch(x, each) for x in topology.guards if each.key in x.sentinels],
        link=_link(each.link, topology) if each.link else None,
        home=homes.get(each.node or 0),
        elsewhere=other,
        slots=slots_shown(each),
    )


def _state(each: Member, elsewhere: Node | None) -> Shown:
    if each.down is Down.YES:
        return Shown(BAD, "Down", "The servers around it do not reach it.", each.seen_at)
    if each.silent:
        return Shown(UNKNOWN, "No answer", each.silent, each.seen_at)
    if each.down is Down.SUSPECTED:
        return Shown(WAIT, "Perhaps down", "One of the servers around it does not reach it.")
    if each.node is None:
        where = f"On the machine of {elsewhere.name} in {elsewhere.group}." if elsewhere else ""
        return Shown(UNKNOWN, "Not managed here", where)
    if each.seen_at is None:
        return Shown(UNKNOWN, "Not seen yet", "Nobody has asked this server yet.")
    return Shown(OK, "Up", "", each.seen_at)


def _link(link: Link, topology: Topology) -> LinkShown:
    return LinkShown(
        to=_name(topology, link.primary), state=_up(link), wire=_wire(link.encrypted), lag=lag(link)
    )


def _watch(guard: Guard, sentinel: Member) -> WatchShown:
    told = next((each for each in sentinel.watching if each.name == guard.name), None)
    unknown = Encrypted(Wire.UNKNOWN, "The Sentinel is not managed here, or does not answer.")
    return WatchShown(guard.name, _wire(told.encrypted if told else unknown))


def _up(link: Link) -> Shown:
    if link.syncing:
        return Shown(WAIT, "Copying everything", "The replica fetches all data anew.")
    if link.up is None:
        return Shown(UNKNOWN, "Unknown", link.encrypted.why)
    return Shown(OK, "Up") if link.up else Shown(BAD, "Down", "The replica has no link.")


def lag(link: Link) -> str:
    """Return how far behind a replica was when its primary last told; empty for unknown."""
    if not link.up or link.behind is None:
        return ""
    behind = filesizeformat(link.behind).replace("\xa0", " ") if link.behind else "nothing"
    silent = f", silent for {link.idle} s" if link.idle and link.idle > QUIET else ""
    return f"{behind} behind{silent}"


def _wire(encrypted: Encrypted) -> Shown:
    kind, word = _WIRES[encrypted.wire]
    return Shown(kind, word, encrypted.why)


def slots_shown(member: Member) -> str:
    """Return the ranges of a node's slots."""
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in member.slots)


def _guard(guard: Guard, topology: Topology) -> GuardShown:
    there = [each for each in topology.members if each.key in guard.sentinels]
    alive = sum(each.down is Down.NO for each in there)
    majority = len(there) // 2 + 1
    needed = max(guard.quorum, majority)
    says = (
        f"{alive} of {len(there)} Sentinels are up; {guard.quorum} have to agree that the primary "
        f"is down, and {majority} elect who leads a failover."
    )
    state = Shown(OK, "Failover possible")
    if alive < needed:
        state = Shown(BAD, "No failover", f"{needed} Sentinels are needed, and {alive} are up.")
    return GuardShown(guard, _name(topology, guard.primary), says, state)


def says(topology: Topology) -> str:
    """Return in a sentence what was seen."""
    data = [each for each in topology.members if each.role is not Role.SENTINEL]
    replicas = sum(each.link is not None for each in data)
    primaries = len(data) - replicas
    if topology.kind is Kind.UNKNOWN:
        return "No server of this group has told yet what is around it."
    if topology.kind is Kind.STANDALONE:
        noun = "server follows" if len(data) == 1 else "servers follow"
        return (
            f"{len(data)} {noun} nobody, and nobody follows {'it' if len(data) == 1 else 'them'}."
        )
    told = f"{_count(primaries, 'primary', 'primaries')}, {_count(replicas, 'replica')}"
    if topology.kind is Kind.CLUSTER and topology.bus:
        served = "every slot is served" if topology.bus.serving else "not every slot is served"
        return f"{told}, {topology.bus.assigned} of {SLOTS} slots assigned: {served}."
    watchers = len(topology.members) - len(data)
    return f"{told}, {_count(watchers, 'Sentinel')}." if watchers else f"{told}."


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def _worst(
    members: Sequence[MemberShown], guards: Sequence[GuardShown], topology: Topology, *, stale: bool
) -> Shown:
    if topology.kind is Kind.UNKNOWN:
        return Shown(UNKNOWN, "Not observed")
    wrong = next(_wrong(members, guards, topology), None)
    return wrong or (Shown(UNKNOWN, "Not observed lately") if stale else Shown(OK, "All up"))


def _wrong(
    members: Sequence[MemberShown], guards: Sequence[GuardShown], topology: Topology
) -> Iterator[Shown]:
    """Yield what is not well, the gravest first."""
    down = sum(each.state.kind == BAD for each in members)
    if down:
        yield Shown(BAD, f"{_count(down, 'server')} down")
    links = sum(bool(each.link and each.link.state.kind == BAD) for each in members)
    if links:
        yield Shown(BAD, f"{_count(links, 'link')} down")
    if topology.bus and not (topology.bus.serving and topology.bus.assigned == SLOTS):
        yield Shown(BAD, "Slots without a server")
    yield from (each.state for each in guards if each.state.kind == BAD)
    silent = sum(bool(each.member.silent) for each in members)
    if silent:
        yield Shown(UNKNOWN, f"{_count(silent, 'node')} without an answer")
