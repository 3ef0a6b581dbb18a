"""What a server is asked about those around it, and how its replies are read."""

from collections.abc import Mapping, Sequence
from typing import Any

from instances.nodeconf.client_list import Place, parse_clients
from instances.nodeconf.facts_server import ServerFacts
from instances.nodeconf.topology.cluster import cluster_seen
from instances.nodeconf.topology.seen import Follower, Following, Role, Seen, Watch
from instances.nodeconf.topology.sentinel import watches_seen

HELLO = "__sentinel__:hello"
"""The channel on which Sentinels meet, on each server that they watch."""
WATCHERS = ("CLIENT", "LIST", "TYPE", "pubsub")
"""Asked once more of a server on which Sentinels meet: it tells from where they come."""
MOST_SUBSCRIBERS = 1000
"""With more of them that list is left alone."""
_SENTINEL = "sentinel-"
_NO_HISTORY = "0" * 40

Question = tuple[str, ...]
Answers = Mapping[Question, Any]


def questions(server: ServerFacts) -> tuple[Question, ...]:
    """Return what to ask a server besides INFO and CONFIG; only what it can answer.

    A refused command counts in the server's statistics of errors, so none is sent at a venture. The
    names of what a Sentinel watches stand in its file, which it writes anew with each change.
    """
    if server.sentinel:
        monitored = [rest[0] for word, *rest in server.tree.all("sentinel") if word == "monitor"]
        each = [("SENTINEL", what, name) for name in monitored for what in ("SLAVES", "SENTINELS")]
        return (("SENTINEL", "MASTERS"), ("SENTINEL", "MYID"), *each)
    asked: tuple[Question, ...] = (("PUBSUB", "NUMSUB", HELLO),)
    if (server.tree.value("cluster-enabled") or "no").lower() == "yes":
        asked += (("CLUSTER", "NODES"), ("CLUSTER", "INFO"))
    return asked


def sentinels_meet(answers: Answers, info: Mapping[str, str]) -> bool:
    """Say whether Sentinels watch the server, and few enough others listen to list them all."""
    told = answers.get(("PUBSUB", "NUMSUB", HELLO))
    counted = isinstance(told, list) and len(told) == 2 and number(told[1])
    return bool(counted) and (number(info.get("pubsub_clients")) or 0) <= MOST_SUBSCRIBERS


def seen_of(
    server: ServerFacts, info: Mapping[str, str], config: Mapping[str, str], answers: Answers
) -> Seen:
    """Read the replies.

    Args:
        server: Its facts: a Sentinel has no CONFIG, and runs with its file.
        info: The fields of INFO.
        config: Directive to value, of the running server.
        answers: By question; what was refused is left out.
    """
    settings = _of_file(server) if server.sentinel else config
    return Seen(
        role=_role(server, info),
        run_id=info.get("run_id", ""),
        sentinel_id=_text(answers.get(("SENTINEL", "MYID"))),
        port=number(settings.get("port")),
        tls_port=number(settings.get("tls-port")),
        announced=_announced(settings),
        histories=_histories(info),
        offset=number(info.get("master_repl_offset")),
        replicates_over_tls=_yes(settings, "tls-replication"),
        bus_over_tls=_yes(settings, "tls-cluster"),
        bus_born_over_tls=_born_over_tls(server, info, settings),
        following=_following(info),
        followers=_followers(info),
        cluster=cluster_seen(
            _text(answers.get(("CLUSTER", "NODES"))), _text(answers.get(("CLUSTER", "INFO")))
        ),
        watches=_watches(answers),
        sentinels=_sentinels(answers),
    )


def _born_over_tls(
    server: ServerFacts, info: Mapping[str, str], settings: Mapping[str, str]
) -> bool:
    """Say whether the process was surely started with tls-cluster: its file says so for longer."""
    file, now, up = (
        server.config,
        number(info.get("server_time_usec")),
        number(info.get("uptime_in_seconds")),
    )
    if file.changed is None or file.includes or now is None or up is None:
        return False
    by_file = (server.tree.value("tls-cluster") or "no").lower() == "yes"
    # Both are told in whole seconds.
    return by_file and bool(_yes(settings, "tls-cluster")) and file.changed < now // 10**6 - up - 1


def _of_file(server: ServerFacts) -> dict[str, str]:
    return {
        "port": str(server.port),
        "tls-port": str(server.tls_port),
        "tls-replication": server.tree.value("tls-replication") or "no",
    }


def _role(server: ServerFacts, info: Mapping[str, str]) -> Role:
    if server.sentinel or info.get("redis_mode") == "sentinel":
        return Role.SENTINEL
    return {"master": Role.PRIMARY, "slave": Role.REPLICA}.get(info.get("role", ""), Role.UNKNOWN)


def _announced(settings: Mapping[str, str]) -> tuple[Place, ...]:
    """Return the addresses by which the server has itself called; port 0 stands for its own."""
    found = []
    for kind in ("replica", "cluster"):
        port = number(settings.get(f"{kind}-announce-port")) or 0
        names = (f"{kind}-announce-ip", f"{kind}-announce-hostname")
        found += [Place(settings[name], port) for name in names if settings.get(name)]
    return tuple(found)


def _histories(info: Mapping[str, str]) -> tuple[str, ...]:
    told = (info.get("master_replid", ""), info.get("master_replid2", ""))
    return tuple(each for each in told if each not in {"", _NO_HISTORY})


def _following(info: Mapping[str, str]) -> Following | None:
    if info.get("role") != "slave" or not info.get("master_host"):
        return None
    up = info.get("master_link_status") == "up"
    return Following(
        primary=Place(info["master_host"], number(info.get("master_port")) or 0),
        up=up,
        idle=number(info.get("master_last_io_seconds_ago")) if up else None,
        syncing=info.get("master_sync_in_progress") == "1",
    )


def _followers(info: Mapping[str, str]) -> tuple[Follower, ...]:
    """Read ``slave0:ip=...,port=...,state=online,offset=...,lag=...``."""
    found = []
    for index in range(number(info.get("connected_slaves")) or 0):
        told = dict(
            part.partition("=")[::2] for part in info.get(f"slave{index}", "").split(",") if part
        )
        if "ip" in told:
            found.append(
                Follower(
                    place=Place(told["ip"], number(told.get("port")) or 0),
                    online=told.get("state") == "online",
                    offset=number(told.get("offset")) or 0,
                    idle=number(told.get("lag")),
                )
            )
    return tuple(found)


def _watches(answers: Answers) -> tuple[Watch, ...]:
    parts: dict[str, dict[str, Sequence[Any]]] = {"SLAVES": {}, "SENTINELS": {}}
    for question, answer in answers.items():
        if question[0] == "SENTINEL" and question[1] in parts:
            parts[question[1]][question[2]] = answer
    return watches_seen(
        answers.get(("SENTINEL", "MASTERS")) or (), parts["SLAVES"], parts["SENTINELS"]
    )


def _sentinels(answers: Answers) -> tuple[Place, ...] | None:
    told = answers.get(("PUBSUB", "NUMSUB", HELLO))
    if not isinstance(told, list) or len(told) != 2:
        return None
    if not number(told[1]):
        return ()
    if WATCHERS not in answers:
        return None
    named = (
        each for each in parse_clients(_text(answers[WATCHERS])) if each.name.startswith(_SENTINEL)
    )
    return tuple(dict.fromkeys(Place(each.peer.address, 0) for each in named))


def _yes(settings: Mapping[str, str], name: str) -> bool | None:
    value = settings.get(name)
    return None if value is None else value.lower() == "yes"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    """Return a count; None for what is none, such as the -1 of a link that is down."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else None
