"""Made-up runs of one installation, with what they recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from addons.models import Installation, Run, RunNode, StepRecord
from instances.models import Node
from panel.seeding.content import FAILURES, PEOPLE, STEPS

_State = Run.State
_NODE_STATES = {
    _State.SUCCEEDED: RunNode.State.DONE,
    _State.PUT_BACK: RunNode.State.PUT_BACK,
    _State.STUCK: RunNode.State.STUCK,
}
SPEC = {"tls_port": 6380, "networks": ["10.0.0.0/8"]}


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A run and its rows, none of them stored."""

    run: Run
    nodes: Sequence[RunNode]
    records: Sequence[StepRecord]


def runs_of(
    installation: Installation, nodes: Sequence[Node], now: datetime, chance: Random
) -> Iterator[MadeRun]:
    """Yield the install, and for some what was tried after it. None is left to a worker."""
    installed = now - timedelta(minutes=chance.randint(1, 300 * 1440))
    yield _run(installation, nodes, _State.SUCCEEDED, installed, chance)
    later = chance.random()
    after = installed + (now - installed) * chance.random()
    for below, state in (
        (0.02, _State.PUT_BACK),
        (0.03, _State.REFUSED),
        (0.033, _State.STUCK),
        (0.05, _State.PREVIEWED),
        (0.1, _State.SUCCEEDED),
    ):
        if later < below:
            yield _run(installation, nodes, state, after, chance)
            return


def _run(
    installation: Installation,
    nodes: Sequence[Node],
    state: Run.State,
    at: datetime,
    chance: Random,
) -> MadeRun:
    step, reason, message = chance.choice(FAILURES)
    failed = chance.choice(nodes)
    failure = {
        "node": failed.name,
        "step": step,
        "reason": reason,
        "message": message.format(node=failed.name),
        "next_step": "",
    }
    took = timedelta(seconds=chance.uniform(2, 6) + len(nodes) / 10)
    run = Run(
        installation=installation,
        action="install",
        spec=SPEC,
        state=state,
        actor_name=chance.choice(PEOPLE),
        attempt=state != _State.PREVIEWED,
        failure=failure if state in {_State.PUT_BACK, _State.REFUSED, _State.STUCK} else {},
        created_at=at,
        started_at=None if state == _State.PREVIEWED else at,
        ended_at=None if state == _State.PREVIEWED else at + took,
    )
    rows = [_row(run, node, place, at, took) for place, node in enumerate(nodes)]
    told = state in {_State.SUCCEEDED, _State.PUT_BACK, _State.STUCK}
    records = [each for row in rows for each in _records(row, run, took)] if told else []
    return MadeRun(run, rows, records)


def _row(run: Run, node: Node, place: int, at: datetime, took: timedelta) -> RunNode:
    state = _NODE_STATES.get(Run.State(run.state), RunNode.State.WAITING)
    over = state != RunNode.State.WAITING
    return RunNode(
        run=run,
        node=node,
        position=place,
        state=state,
        preview=_PREVIEW,
        digest="0" * 64,
        started_at=at if over else None,
        ended_at=at + took if over else None,
    )


_PREVIEW = {
    "changes": [
        {
            "step": "configuration",
            "says": "Write redis.conf.",
            "lines": [
                {"kind": "hunk", "text": "@@ /etc/redis/redis.conf @@"},
                {"kind": "add", "text": "tls-port 6380"},
                {"kind": "add", "text": "tls-auth-clients optional"},
            ],
            "interrupts": 0,
            "delays": 0,
        }
    ],
    "warnings": [],
}


def _records(row: RunNode, run: Run, took: timedelta) -> Iterator[StepRecord]:
    kinds = StepRecord.Kind
    said = [(step, kinds.APPLIED, says) for step, says in STEPS]
    match run.state:
        case _State.SUCCEEDED:
            said.append(("verify", kinds.VERIFIED, "verified from the panel: TLSv1.3, PONG"))
        case _State.PUT_BACK:
            said.append(("configuration", kinds.UNDONE, "redis.conf is as it was"))
        case _:
            said.append(("configuration", kinds.UNDO_FAILED, "redis.conf could not be put back"))
    for place, (step, kind, says) in enumerate(said, start=1):
        at = run.created_at + took * place / len(said)
        yield StepRecord(
            run=run, node=row.node, attempt=1, step=step, kind=kind, at=at, says=says, state={}
        )
