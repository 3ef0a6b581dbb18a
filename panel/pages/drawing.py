"""The picture of a topology: boxes and lines for SVG, a drawing for each primary with its own.

One drawing is as wide as a telephone, so that thirty servers are a few of them side by side on a
desk and below each other in a hand; nothing is scaled until it cannot be read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from instances.nodeconf.topology.picture import Guard, Member
from instances.nodeconf.topology.seen import Role
from instances.nodeconf.topology.whole import sets_of
from panel.pages.state import BAD, OK, UNKNOWN
from panel.pages.topology import MemberShown, NameOrder, TopologyPage, name_order

WIDTH = 340
_STEP = 34
_WIRES = {"TLS": "tls", "plaintext": "plain"}
_DEEPEST = 3
_GAP = 12
_TOP, _LINE = 19, 18
_LETTERS = 24
_FULL = 43
_TRUNK = 15


@dataclass(frozen=True, slots=True)
class Box:
    """A server.

    Args:
        x: All lengths in units of the drawing; its width is `WIDTH`.
        classes: For the style sheet: its state, and whether it is managed here.
        lines: Text below its name, each with its place and class.
    """

    x: int
    y: int
    width: int
    height: int
    classes: str
    name: str
    role: str
    state: str
    lines: Sequence[tuple[int, str, str]]

    @property
    def right(self) -> int:
        """Where text at its right edge ends."""
        return self.x + self.width - 12

    @property
    def left(self) -> int:
        """Where text begins."""
        return self.x + 12

    @property
    def name_y(self) -> int:
        """The base line of its name."""
        return self.y + _TOP


@dataclass(frozen=True, slots=True)
class Line:
    """A line from one server to another, as an SVG path."""

    path: str
    classes: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A primary, what follows it, and who watches it.

    Args:
        title: What a screen reader says for it.
    """

    number: int
    title: str
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Line]
    width: int = WIDTH


def drawings(page: TopologyPage) -> list[Drawing]:
    """Return the drawings of a page, those with slots in their order."""
    shown = {each.member.key for each in page.members}
    made = []
    for root, below in sets_of(page.topology):
        if root.key in shown:
            there = {root.key, *(each.key for followers in below.values() for each in followers)}
            guards = [each for each in page.topology.guards if each.primary in there]
            made.append(_Sheet(page.by_key, below).drawn(root, guards))
    made.sort(key=lambda each: each[0])
    return [
        Drawing(number, title, height, boxes, lines)
        for number, (_, title, height, boxes, lines) in enumerate(made, 1)
    ]


class _Sheet:
    """One drawing that is being made."""

    def __init__(
        self, shown: Mapping[str, MemberShown], below: Mapping[str, Sequence[Member]]
    ) -> None:
        self._shown, self._below = shown, below
        self._boxes: list[Box] = []
        self._lines: list[Line] = []
        self._y = 1

    def drawn(
        self, root: Member, guards: Sequence[Guard]
    ) -> tuple[tuple[int, NameOrder], str, int, list[Box], list[Line]]:
        for guard in guards:
            self._watch(guard)
        self._tree(root, 0, None)
        first = root.slots[0][0] if root.slots else 1 << 14
        return (
            (first, name_order(root)),
            self._title(root, guards),
            self._y,
            self._boxes,
            self._lines,
        )

    def _watch(self, guard: Guard) -> None:
        """Draw Sentinels above the primary, each with a line down to it."""
        there = [self._shown[key] for key in guard.sentinels if key in self._shown]
        sentinels = sorted(there, key=lambda each: name_order(each.member))
        began = self._y
        for each in sentinels:
            box = self._box(each, 1)
            middle = box.y + box.height // 2
            wire = next((x.wire for x in each.watches if x.name == guard.name), None)
            kind = _WIRES.get(wire.word if wire else "", "open")
            self._lines.append(Line(f"M{_TRUNK} {middle}H{box.x}", f"watch {kind}"))
        if sentinels:
            first = began + self._boxes[-len(sentinels)].height // 2
            self._lines.insert(0, Line(f"M{_TRUNK} {first}V{self._y}", "watch trunk"))

    def _tree(self, member: Member, depth: int, parent: Box | None) -> None:
        shown = self._shown.get(member.key)
        if shown is None:
            return
        box = self._box(shown, min(depth, _DEEPEST))
        if parent is not None:
            self._join(parent, box, shown)
        for each in sorted(self._below.get(member.key, ()), key=name_order):
            self._tree(each, depth + 1, box)

    def _join(self, parent: Box, box: Box, shown: MemberShown) -> None:
        trunk, middle = parent.x + _TRUNK, box.y + box.height // 2
        link = shown.link
        if link is None:
            return
        wire = _WIRES.get(link.wire.word, "open")
        state = BAD if link.state.kind == BAD else OK if link.state.kind == OK else UNKNOWN
        self._lines.insert(0, Line(f"M{trunk} {parent.y + parent.height}V{middle}", "trunk"))
        self._lines.append(Line(f"M{trunk} {middle}H{box.x}", f"link {wire} {state}"))

    def _box(self, shown: MemberShown, depth: int) -> Box:
        x = _STEP * depth + 1
        texts = list(_texts(shown))
        height = _TOP + _LINE * len(texts) + 9
        member = shown.member
        words = [f"role-{member.role.lower() or 'unknown'}", shown.state.kind]
        box = Box(
            x=x,
            y=self._y,
            width=WIDTH - x - 1,
            height=height,
            classes=" ".join(words if shown.managed else [*words, "stranger"]),
            name=_cut(shown.called, _LETTERS - 3 * depth),
            role=shown.role,
            state=shown.state.word if shown.state.kind != OK else "",
            lines=[
                (self._y + _TOP + _LINE * number, _cut(text, _FULL - 5 * depth), kind)
                for number, (text, kind) in enumerate(texts, 1)
            ],
        )
        self._boxes.append(box)
        self._y += height + _GAP
        return box

    def _title(self, root: Member, guards: Sequence[Guard]) -> str:
        followers = [each.name for each in self._below.get(root.key, ())]
        told = f"{root.name}, {self._shown[root.key].role}"
        if followers:
            told += f", followed by {', '.join(sorted(followers))}"
        watchers = sum(len(each.sentinels) for each in guards)
        return f"{told}, watched by {watchers} Sentinels" if watchers else told


def _texts(shown: MemberShown) -> Iterator[tuple[str, str]]:
    """Yield what stands below a server's name, each with its class."""
    member = shown.member
    where = f"{shown.role}  {member.place}" if member.place != member.name else shown.role
    yield where, "where"
    if shown.home:
        yield f"in {shown.home.place}", "where"
    if shown.slots:
        yield f"slots {shown.slots}", "where"
    if shown.link:
        link = shown.link
        if link.state.kind == BAD:
            yield f"link to {link.to} is down", BAD
        elif link.state.kind == UNKNOWN:
            yield "link unknown", UNKNOWN
        elif link.state.kind != OK:
            yield link.state.word.lower(), link.state.kind
        else:
            known = link.wire.kind != UNKNOWN
            wire = f"link {link.wire.word}" if known else "link, TLS unknown"
            yield ", ".join(filter(None, (wire, link.lag))), link.wire.kind
    elif shown.watches:
        for each in shown.watches:
            wire = each.wire.word if each.wire.kind != UNKNOWN else "over what is unknown"
            yield f"watches {each.name}, {wire}", each.wire.kind
    elif member.role is Role.PRIMARY and member.bus and not shown.slots:
        yield "no slots", "where"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
