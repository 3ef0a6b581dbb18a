"""What the nodes of a group have seen, put together into one picture."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from instances.nodeconf.client_list import Place
from instances.nodeconf.topology.encrypted import (
    Encrypted,
    Wire,
    bus_encrypted,
    link_encrypted,
    watch_encrypted,
)
from instances.nodeconf.topology.known import Known, Register
from instances.nodeconf.topology.picture import Bus, Guard, Kind, Link, Member, Topology, Watching
from instances.nodeconf.topology.seen import ClusterNode, Down, Following, Role, Watch
from instances.nodeconf.topology.strangers import Stranger, mentioned, without_doubles

_NOBODY_ASKS = "The replica does not tell the panel: it is not managed here, or does not answer."


def topology_of(known: Iterable[Known], *, renewed: bool = False) -> Topology:
    """Put together what managed servers said; of two who contradict the later counts.

    Args:
        known: The managed servers.
        renewed: Whether somebody has seen to it that no link of a cluster's bus is older than its
            nodes' setting.
    """
    return _Drawing(known, renewed).drawn()


@dataclass
class _Drawing:
    """A picture that is being made."""

    nodes: Iterable[Known]
    renewed: bool
    register: Register = field(init=False)
    members: dict[str, Member] = field(default_factory=dict)
    guards: dict[str, Guard] = field(default_factory=dict)
    votes: dict[str, list[str]] = field(default_factory=dict)
    heard: Sequence[Known] = ()

    def __post_init__(self) -> None:
        self.register = Register(self.nodes)
        self.known: Sequence[Known] = self.register.known
        told = [each for each in self.known if each.seen is not None and each.seen_at is not None]
        self.told = sorted(told, key=lambda each: (each.seen_at, each.key))

    def drawn(self) -> Topology:
        for each in self.known:
            self.members[_key(each)] = _own(each)
        self.heard = self._heard()
        for teller in self.heard:
            self._around(teller)
        for teller in self.told:
            self._follows(teller)
        found = self._strangers()
        for stranger in found:
            if not stranger.place.port:
                key, where = f"@{stranger}", str(stranger)
                self.members[key] = Member(key, where, None, where, Role.SENTINEL)
        moments = [each.seen_at for each in self.told if each.seen_at]
        return Topology(
            kind=self._kind(),
            members=tuple(self.members.values()),
            guards=tuple(self.guards.values()),
            bus=self._bus(whole=not found),
            strangers=found,
            blind=tuple(each.name for each in self.known if each.seen is None),
            latest=max(moments, default=None),
            oldest=min(moments, default=None),
        )

    def _heard(self) -> list[Known]:
        """Return those whose account of others counts: of a cluster the latest one alone.

        And besides those of whom it says nothing.
        """
        heard, spoken_of = [], set[str]()
        for each in reversed(self.told):
            cluster = each.seen.cluster if each.seen else None
            if cluster is None or cluster.me not in spoken_of:
                heard.append(each)
                spoken_of |= {node.id for node in cluster.nodes} if cluster else set()
        return heard[::-1]

    def _kind(self) -> Kind:
        if any(each.seen and each.seen.cluster for each in self.told):
            return Kind.CLUSTER
        if self.guards or any(each.seen and each.seen.sentinels for each in self.told):
            return Kind.SENTINEL
        if any(each.link for each in self.members.values()):
            return Kind.REPLICATION
        return Kind.STANDALONE if self.told else Kind.UNKNOWN

    def _around(self, teller: Known) -> None:
        """Note those of whom a server speaks."""
        seen = teller.seen
        if seen is None:
            return
        if seen.cluster is not None:
            for node in seen.cluster.nodes:
                self._cluster_node(teller, node, seen.cluster.nodes)
            return
        for follower in seen.followers:
            key = self._meet(follower.place, teller, Role.REPLICA)
            if self.members[key].node is None:
                behind = max(0, (seen.offset or 0) - follower.offset)
                link = Link(
                    primary=_key(teller),
                    up=follower.online,
                    encrypted=Encrypted(Wire.UNKNOWN, _NOBODY_ASKS),
                    behind=behind,
                    idle=follower.idle,
                )
                self.members[key] = replace(self.members[key], link=link)
        if seen.following is not None:
            self._upstream(teller, seen.following)
        for watch in seen.watches:
            if self.register.concerns(watch, teller):
                self._guard(teller, watch)

    def _cluster_node(self, teller: Known, node: ClusterNode, nodes: Sequence[ClusterNode]) -> None:
        role = Role.REPLICA if node.primary else Role.PRIMARY
        key = self._cluster_key(teller, node)
        link = None
        if node.primary:
            upstream = next((each for each in nodes if each.id == node.primary), None)
            if upstream is not None:
                primary = self._cluster_key(teller, upstream)
                link = Link(primary, None, Encrypted(Wire.UNKNOWN, _NOBODY_ASKS))
        self.members[key] = replace(
            self.members[key],
            role=role,
            slots=node.slots,
            bus=node.bus,
            down=node.down,
            link=link,
        )

    def _cluster_key(self, teller: Known, node: ClusterNode) -> str:
        role = Role.REPLICA if node.primary else Role.PRIMARY
        return self._meet(node.place, teller, role, node.id, node.hostname)

    def _guard(self, teller: Known, watch: Watch) -> None:
        primary = self._meet(watch.primary.place, teller, Role.PRIMARY, watch.primary.id)
        self._down(primary, watch.primary.down)
        named = self.register.find(watch.primary.place, teller, watch.primary.id)
        if named is not None and named.silent:
            self.members[primary] = replace(self.members[primary], role=Role.PRIMARY, link=None)
        self._watches(teller, watch)
        self._names(teller, watch, primary)
        fellows = [_key(teller)]
        for each in watch.sentinels:
            fellows.append(self._meet(each.place, teller, Role.SENTINEL, each.id))
            self._down(fellows[-1], each.down)
        self.votes.setdefault(watch.name, []).append(primary)
        # Of several that are named the one that most name, and among those the latest.
        most = Counter(reversed(self.votes[watch.name])).most_common(1)[0][0]
        former = self.guards.get(watch.name)
        met = (*(former.sentinels if former else ()), *fellows)
        self.guards[watch.name] = Guard(watch.name, most, watch.quorum, tuple(dict.fromkeys(met)))

    def _names(self, teller: Known, watch: Watch, primary: str) -> None:
        """Note the replicas that a Sentinel names, those that it has reached first.

        One that it never reached may be a place where another of them once was; or a server that
        is managed here, and was down when it became a replica.
        """
        reached = {primary}
        for each in sorted(watch.replicas, key=lambda other: not other.id):
            found = self.register.find(each.place, teller, each.id)
            if not each.id and (found is None or _key(found) in reached):
                continue
            key = self._meet(each.place, teller, Role.REPLICA, each.id)
            reached.add(key)
            self._down(key, each.down)
            if found is None or found.silent:
                link = Link(primary, None, Encrypted(Wire.UNKNOWN, _NOBODY_ASKS))
                former = self.members[key].link if found is None else None
                self.members[key] = replace(
                    self.members[key], role=Role.REPLICA, link=former or link
                )

    def _watches(self, sentinel: Known, watch: Watch) -> None:
        if sentinel.seen is None:
            return
        primary = self.register.find(watch.primary.place, sentinel, watch.primary.id)
        port, own = watch.primary.place.port, primary.seen if primary else None
        watching = Watching(watch.name, watch_encrypted(sentinel.seen, port, own))
        member = self.members[_key(sentinel)]
        self.members[member.key] = replace(member, watching=(*member.watching, watching))

    def _down(self, key: str, down: Down) -> None:
        self.members[key] = replace(self.members[key], down=down)

    def _meet(
        self, place: Place, teller: Known, role: Role, number: str = "", called: str = ""
    ) -> str:
        """Return the key of the member at a place, noted now where it was not."""
        found = self.register.find(place, teller, number)
        if found is not None:
            return _key(found)
        key = f"@{place}"
        if key not in self.members:
            self.members[key] = Member(key, called or str(place), None, str(place), role)
        return key

    def _upstream(self, teller: Known, following: Following) -> str:
        """Return the key of a replica's primary.

        A name or an address that nobody is known by may be a managed primary's all the same: then
        that one counts the replica among its own.
        """
        found = self.register.find(following.primary, teller)
        if found is None:
            found = next((each for each in self.told if self._counts(each, teller)), None)
        return _key(found) if found else self._meet(following.primary, teller, Role.PRIMARY)

    def _counts(self, primary: Known, replica: Known) -> bool:
        followers = primary.seen.followers if primary.seen else ()
        return any(self.register.find(each.place, primary) is replica for each in followers)

    def _follows(self, replica: Known) -> None:
        """Draw a managed replica's link, as it and its primary tell."""
        seen, told = replica.seen, self.members[_key(replica)]
        if seen is None or seen.following is None:
            return
        if replica.silent and (told.link or told.role is Role.PRIMARY):
            return  # What the others say of it is newer.
        upstream = self._upstream(replica, seen.following)
        primary = next((each for each in self.told if _key(each) == upstream), None)
        link = Link(
            primary=upstream,
            up=seen.following.up,
            encrypted=link_encrypted(seen, primary.seen if primary else None),
            syncing=seen.following.syncing,
            behind=self._behind(replica, primary),
            idle=seen.following.idle,
        )
        if replica.silent:
            # What it said before is no account of now.
            link = Link(upstream, None, Encrypted(Wire.UNKNOWN, _NOBODY_ASKS))
        if seen.cluster is not None and (told.link is None or told.link.primary != upstream):
            return  # Somebody has told otherwise since.
        self.members[told.key] = replace(told, link=link)

    def _behind(self, replica: Known, primary: Known | None) -> int | None:
        """Return how far a replica was behind, both taken from one account: the primary's."""
        if primary is None or primary.seen is None or primary.seen.offset is None:
            return None
        for each in primary.seen.followers:
            if self.register.find(each.place, primary) is replica:
                return max(0, primary.seen.offset - each.offset)
        return None

    def _bus(self, *, whole: bool) -> Bus | None:
        tellers = [each for each in self.told if each.seen and each.seen.cluster]
        if not tellers:
            return None
        cut = [
            (_key(each), self._cluster_key(each, node))
            for each in tellers
            if each.seen and each.seen.cluster and not each.silent
            for node in each.seen.cluster.nodes
            if node.id != each.seen.cluster.me and not node.linked and node.down is not Down.YES
        ]
        latest = tellers[-1].seen
        cluster = latest.cluster if latest else None
        return Bus(
            encrypted=bus_encrypted(
                [each.seen for each in self.known], whole=whole, renewed=self.renewed
            ),
            cut=tuple(cut),
            serving=bool(cluster and cluster.ok),
            assigned=cluster.assigned if cluster else 0,
        )

    def _strangers(self) -> tuple[Stranger, ...]:
        """Return who is not managed here: each once, as the latest account has it."""
        found: dict[str, Stranger] = {}
        for each in self.heard:
            if each.seen is not None:
                for stranger in mentioned(each.seen, self.register, each):
                    found[str(stranger)] = stranger
        return tuple(without_doubles(found.values()))


def _key(known: Known) -> str:
    return f"n{known.key}"


def _own(known: Known) -> Member:
    seen = known.seen
    return Member(
        key=_key(known),
        name=known.name,
        node=known.key,
        place=known.main_place,
        role=seen.role if seen else Role.UNKNOWN,
        silent=known.silent,
        seen_at=known.seen_at,
    )


def sets_of(topology: Topology) -> Iterator[tuple[Member, Mapping[str, list[Member]]]]:
    """Yield each server that follows nobody, with who follows whom below it, by key.

    Sentinels are left out. A ring of servers that follow each other begins with one of them.
    """
    below: dict[str, list[Member]] = {}
    there = [each for each in topology.members if each.role is not Role.SENTINEL]
    for each in there:
        if each.link is not None:
            below.setdefault(each.link.primary, []).append(each)
    drawn: set[str] = set()
    roots = [each for each in there if each.link is None]
    for root in [*roots, *there]:
        if root.key in drawn:
            continue
        found: dict[str, list[Member]] = {}
        waiting = [root]
        drawn.add(root.key)
        while waiting:
            at = waiting.pop()
            followers = [each for each in below.get(at.key, []) if each.key not in drawn]
            drawn.update(each.key for each in followers)
            if followers:
                found[at.key] = followers
            waiting += followers
        yield root, found
