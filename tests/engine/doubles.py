"""A world in memory for the engine: nodes that are dictionaries, steps that set one key."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from addons.engine.journal import LeaseLost, StopRequested
from addons.engine.step import Change, Goal, Preview, State, StepFailed
from instances.reason import Reason


class Killed(BaseException):
    """The worker is gone: nothing after this point runs."""


@dataclass
class World:
    """What the nodes hold, and the faults to come.

    ``fail`` are the places that raise; ``kill`` the one place where the worker dies.
    """

    values: dict[int, dict[str, str]]
    fail: set[tuple[int, str, str]] = field(default_factory=set)
    kill: tuple[int, str, str] | None = None
    applied: list[tuple[int, str]] = field(default_factory=list)
    settled: list[tuple[int, str]] = field(default_factory=list)

    def pass_by(self, node: int, step: str, moment: str) -> None:
        if self.kill == (node, step, moment):
            raise Killed
        if (node, step, moment) in self.fail:
            raise StepFailed(Reason("Injected", f"{step} {moment} fails on node {node}"))


@dataclass
class Session:
    world: World
    node: int

    @property
    def values(self) -> dict[str, str]:
        return self.world.values[self.node]


@dataclass
class SetValue:
    """Sets one key of a node."""

    key: str
    wanted: str = "new"
    together: bool = False

    @property
    def title(self) -> str:
        return self.key.title()

    def inspect(self, node: Session) -> State:
        node.world.pass_by(node.node, self.key, "inspect")
        return {"value": node.values.get(self.key, "")}

    def satisfied(self, state: State) -> Reason | None:
        return Reason("InPlace", "so already") if state["value"] == self.wanted else None

    def describe(self, state: State) -> Sequence[Change]:
        return [Change(f"{self.key}: {state['value']} becomes {self.wanted}")]

    def apply(self, node: Session, state: State) -> str:
        node.world.pass_by(node.node, self.key, "before apply")
        node.values[self.key] = self.wanted
        node.world.applied.append((node.node, self.key))
        node.world.pass_by(node.node, self.key, "after apply")
        return f"{self.key} set"

    def undo(self, node: Session, before: State) -> str:
        node.world.pass_by(node.node, self.key, "before undo")
        node.values[self.key] = before["value"]
        node.world.pass_by(node.node, self.key, "after undo")
        return f"{self.key} put back"

    def settle(self, node: Session, goal: Goal, before: State | None) -> str | None:
        node.world.pass_by(node.node, self.key, f"settle {goal.value}")
        node.world.settled.append((node.node, self.key))
        return None


@dataclass
class ValuePlan:
    steps: Sequence[SetValue]
    obstacles: Sequence[Reason] = ()
    warnings: Sequence[Reason] = ()
    rank: int = 0
    queue: str = ""
    holds: Sequence[SetValue] = ()

    def probe(self, node: Session, goal: Goal) -> tuple[Sequence[str], State]:
        node.world.pass_by(node.node, "probe", goal.value)
        node.world.settled.append((node.node, "probe"))
        return [f"verified {goal.value}"], {"values": dict(node.values)}


@dataclass
class ValueWork:
    world: World
    node: int
    confirmed: Mapping[str, Any] = field(default_factory=dict)
    obstacles: Sequence[Reason] = ()
    rank: int = 0
    queue: str = ""
    together: Collection[str] = ()
    holds: Sequence[str] = ()
    finished: bool = False
    closed: bool = False

    def connect(self) -> Session:
        self.world.pass_by(self.node, "connect", "connect")
        return Session(self.world, self.node)

    def plan(self, session: Session) -> ValuePlan:
        steps = [SetValue(key, together=key in self.together) for key in KEYS]
        holds = [SetValue(key, "held") for key in self.holds]
        return ValuePlan(
            steps, obstacles=self.obstacles, rank=self.rank, queue=self.queue, holds=holds
        )

    def finish(self, session: Session) -> None:
        self.finished = True

    def close(self, session: Session) -> None:
        self.closed = True


KEYS = ("certificate", "firewall", "runtime", "configuration")


@dataclass
class ListJournal:
    """A Journal in a list; what it remembers outlives a killed worker."""

    rows: list[tuple[str, int, str, str]] = field(default_factory=list)
    states: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)
    outcomes: dict[int, str] = field(default_factory=dict)
    first_failure: tuple[int, str] | None = None
    back: bool = False
    stop: bool = False
    lost: bool = False
    hook: Callable[[str, int, str], None] = lambda kind, node, step: None

    def proceed(self, goal: Goal) -> None:
        if self.lost:
            raise LeaseLost("lost")
        if self.stop and goal is Goal.FORWARD:
            raise StopRequested("stopped by a person")

    def previewed(self, node: int, preview: Preview) -> None:
        self._row("previewed", node)

    def before(self, node: int, step: str, state: State) -> State:
        known = self.states.setdefault(node, {}).setdefault(step, dict(state))
        self._row("before", node, step)
        return known

    def befores(self, node: int) -> Mapping[str, State]:
        return dict(self.states.get(node, {}))

    def applied(self, node: int, step: str, says: str) -> None:
        self._row("applied", node, step, says)

    def skipped(self, node: int, step: str, reason: Reason) -> None:
        self._row("skipped", node, step, reason.message)

    def failed(self, node: int, step: str, reason: Reason) -> None:
        self.first_failure = self.first_failure or (node, step)
        self._row("failed", node, step, reason.message)

    def undone(self, node: int, step: str, says: str) -> None:
        self._row("undone", node, step, says)

    def undo_failed(self, node: int, step: str, reason: Reason) -> None:
        self.first_failure = self.first_failure or (node, step)
        self._row("undo_failed", node, step, reason.message)

    def held(self, node: int, step: str, says: str) -> None:
        self._row("held", node, step, says)

    def released(self, node: int, step: str, says: str) -> None:
        self._row("released", node, step, says)

    def verified(self, node: int, says: str) -> None:
        self._row("verified", node, "", says)

    def note(self, node: int, says: str) -> None:
        self._row("note", node, "", says)

    def node_done(self, node: int, *, changed: bool, observation: State) -> None:
        self.outcomes[node] = "done" if changed else "unchanged"
        self._row("node_done", node)

    def node_put_back(self, node: int, *, clean: bool, observation: State) -> None:
        self.outcomes[node] = "put back" if clean else "stuck"
        self._row("node_put_back", node)

    def putting_back(self) -> None:
        self.back = True
        self._row("putting_back", 0)

    def kinds(self, node: int) -> list[tuple[str, str]]:
        return [(kind, step) for kind, n, step, _ in self.rows if n == node]

    def _row(self, kind: str, node: int, step: str = "", says: str = "") -> None:
        self.rows.append((kind, node, step, says))
        self.hook(kind, node, step)
