"""What real servers of the lab once said (captured/README.md), as if they were asked now."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from instances.nodeconf.facts import NodeFacts, ServerFacts, parse_facts
from instances.nodeconf.topology.asking import WATCHERS, questions, seen_of, sentinels_meet
from instances.nodeconf.topology.known import Known
from instances.nodeconf.topology.seen import Seen
from instances.runtime import parse_info

VERSIONS = ("redis-7.0", "redis-8.0", "valkey-8.1")
REPLICATION = (7001, 7002, 7003)
SENTINELS = (27001, 27002, 27003)
CLUSTER = (8001, 8002, 8003, 8004, 8005, 8006)
NOW = datetime(2026, 11, 22, 14, 22, tzinfo=UTC)
_HERE = Path(__file__).parent
_FACTS = _HERE.parent / "nodeconf/facts/bookworm-nftables.out"
_KINDS = dict.fromkeys(REPLICATION, "replication") | dict.fromkeys(SENTINELS, "sentinel")
_KINDS |= dict.fromkeys(CLUSTER, "cluster") | {9001: "alone"}


@cache
def servers(version: str, state: str) -> dict[str, Any]:
    text = (_HERE / "captured" / f"{version}-{state}.json").read_text()
    told: dict[str, Any] = json.loads(text)["servers"]
    return told


@cache
def address(version: str) -> str:
    told = servers(version, "plain")["sentinel 27001"]["SENTINEL MASTERS"][0]
    return str(dict(zip(told[::2], told[1::2], strict=True))["ip"])


@cache
def stock() -> NodeFacts:
    return parse_facts(_FACTS.read_bytes())


def facts_with(*lines: str, sentinel: bool = False, **more: Any) -> ServerFacts:
    """The facts of a server whose whole configuration these lines are."""
    content = "\n".join([*lines, ""]).encode()
    config = replace(
        stock().server.config, content=content, includes={}, changed=more.get("changed")
    )
    return replace(stock().server, config=config, exec_start=(), sentinel=sentinel)


def facts_of(port: int, *lines: str, **more: Any) -> ServerFacts:
    kind = _KINDS[port]
    own = {
        "sentinel": ("sentinel monitor orders 10.0.0.1 7001 2",),
        "cluster": ("cluster-enabled yes",),
    }.get(kind, ())
    return facts_with(f"port {port}", *own, *lines, sentinel=kind == "sentinel", **more)


def said(version: str, state: str, port: int, *lines: str, **more: Any) -> Seen | None:
    """What a server said; None where it was down."""
    told = servers(version, state)[f"{_KINDS[port]} {port}"]
    if told is None:
        return None
    server = facts_of(port, *lines, **more)
    info = parse_info(told["INFO"])
    config: dict[str, str] = {}
    for question, answer in told.items():
        if question.startswith("CONFIG GET"):
            config |= dict(zip(answer[::2], answer[1::2], strict=True))
    answers = {asked: _answer(told, asked) for asked in questions(server)}
    if sentinels_meet(answers, info):
        answers[WATCHERS] = told[" ".join(WATCHERS)]
    return seen_of(server, info, config, answers)


def _answer(told: dict[str, Any], asked: Sequence[str]) -> Any:
    return told[" ".join(asked).replace("SLAVES", "REPLICAS")]


def managed(
    version: str, state: str, ports: Iterable[int], *, at: datetime = NOW, first: str = "plain"
) -> list[Known]:
    """Managed nodes, called after their ports; who is down now is known from its first look."""
    return [
        Known(
            key=port,
            name=f"node-{port}",
            hosts=frozenset({address(version)}),
            ports=frozenset({port}),
            seen=(now := said(version, state, port)) or said(version, first, port),
            seen_at=at if now else NOW.replace(hour=9),
            silent="" if now else "it does not answer",
        )
        for port in ports
    ]
