"""A primary and its replicas under Sentinels."""

import re
import time

import pytest

from tests.acceptance.panel import refused, warnings
from tests.acceptance.stage import PASSWORD, Stage
from tests.acceptance.traffic import PORT, TLS_PORT
from tests.topology.legs import Leg
from tests.topology.replication import NAMES
from tests.topology.sentinels import MASTER, SENTINELS, Sentinels
from tests.topology.wiretap import listening

pytestmark = [pytest.mark.lab, pytest.mark.topology, pytest.mark.timeout(600)]

ALL_TLS = {"tls_replication": "on", "plaintext": "off", "tls_port": str(PORT)}
BESIDE = {"tls_replication": "off", "plaintext": "keep", "tls_port": str(TLS_PORT)}
USUAL = "7.0"
COPIES = ("+psync", "+replconf", "+ping")
# As redis.io has it for Sentinel.
WATCHES = (
    *("+multi", "+slaveof", "+ping", "+exec", "+subscribe", "+config|rewrite", "+role", "+publish"),
    *("+info", "+client|setname", "+client|kill", "+script|kill"),
)


def test_a_watched_group_goes_to_tls_and_back_while_somebody_writes(stage: Stage, leg: Leg) -> None:
    group = Sentinels(stage, USUAL)
    with leg(group, "TLS beside plaintext", group.follower()):
        stage.panel.install("primary")
    preview = stage.panel.run("primary", "configure", ALL_TLS, confirmed=False)
    assert "FailoverOff" in warnings(preview)
    assert "PlaintextInUse" not in warnings(preview)
    with leg(group, "everything TLS", group.follower()):
        told = group.configured(**ALL_TLS)
    group.is_encrypted()
    assert said_of(told, "failover") == [
        "Automatic failover of mymaster is off until the run lets go of it",
        "automatic failover is on again (down-after-milliseconds 3000), after N seconds",
    ]
    group.fails_over()
    with leg(group, "back beside plaintext", group.follower()):
        group.configured(**BESIDE)
    group.is_plain()


def said_of(told: list[str], step: str) -> list[str]:
    """What a run says of a step, each sentence once, without numbers of seconds."""
    texts = [text.partition(": ")[2] for text in told if text.split(" ")[1] == f"{step}:"]
    return list(dict.fromkeys(re.sub(r"\d+ second", "N second", text) for text in texts if text))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["6.2", "7.0", "8.0", "valkey"])
def test_failover_works_in_each_state_and_nothing_stays_after_the_last(
    stage: Stage, leg: Leg, kind: str
) -> None:
    group = Sentinels(stage, kind, shared=kind == "8.0")
    before = stage.photographs(*NAMES)
    assert heard_by_others(group)
    with leg(group, "TLS beside plaintext", group.follower()):
        stage.panel.install("primary")
    for settings, refusal in (
        ({"tls_replication": "on"}, "SentinelStates"),
        ({"plaintext": "off"}, "SentinelStates"),
        ({**ALL_TLS, "tls_port": str(TLS_PORT)}, "SentinelStates"),
    ):
        assert refused(stage.panel.run("primary", "configure", settings)) == refusal
    with leg(group, "everything TLS", group.follower()):
        group.configured(**ALL_TLS)
    with leg(group, "uninstalled from there", group.follower()):
        stage.panel.uninstall("primary")
    group.is_plain()
    left = [text for told in stage.trace(before).values() for text in told]
    # A Sentinel beside a server has written its own file anew.
    assert [text for text in left if not text.endswith("/sentinel.conf")] == []
    assert group.tls_lines() == []

    stage.panel.install("primary")
    group.fails_over()
    with leg(group, "everything TLS, after a failover", group.follower()):
        group.configured(**ALL_TLS)
    group.is_encrypted()
    group.fails_over()
    assert not heard_by_others(group)
    with leg(group, "other certificates", group.follower()):
        stage.panel.reissue("primary")
    group.is_encrypted()
    with leg(group, "back beside plaintext", group.follower()):
        group.configured(**BESIDE)
    group.is_plain()
    group.fails_over()
    with leg(group, "uninstalled, after a failover", group.follower()):
        stage.panel.uninstall("primary")
    group.is_plain()
    assert group.tls_lines() == []
    group.fails_over()


def heard_by_others(group: Sentinels) -> bool:
    """Whether others on the network read what servers and Sentinels say: all of it, or nothing."""
    with listening(group.stage.address(group.primary)) as heard:
        group.follower().set("place", "marked")
        group.wait_for("marked")
        # A Sentinel tells its fellows of itself every two seconds, and who asks it of the primary.
        time.sleep(2.5)
    assert len(heard.frames) > 10
    told = {b"marked" in heard, b"__sentinel__:hello" in heard, MASTER.encode() in heard}
    assert len(told) == 1, told
    return told.pop()


@pytest.mark.long
def test_passwords_between_servers_and_sentinels_are_kept_and_shown_nowhere(stage: Stage) -> None:
    group = Sentinels(stage, USUAL, password="one-Word.7")
    stage.panel.install("primary")
    told = group.configured(**ALL_TLS)
    group.is_encrypted()
    group.fails_over()
    told += group.configured(**BESIDE)
    group.is_plain()
    group.fails_over()
    run = stage.panel.run("primary", "configure", ALL_TLS, confirmed=False)
    previews = [str(row.preview) for row in run.nodes.all()]
    assert not [text for text in (*told, *previews) if "one-Word" in text]


@pytest.mark.long
def test_acl_users_between_servers_and_sentinels_are_kept(stage: Stage) -> None:
    group = Sentinels(stage, USUAL, password="one-Word.7")
    for name in NAMES:
        server = group.client(name)
        server.execute_command("ACL", "SETUSER", "copy", "on", ">c.1", *COPIES)
        server.execute_command("ACL", "SETUSER", "watch", "on", ">w.2", "allchannels", *WATCHES)
        for setting, value in (("masteruser", "copy"), ("masterauth", "c.1")):
            server.config_set(setting, value)
    for name in SENTINELS:
        group.ask(name, "SENTINEL", "SET", MASTER, "auth-user", "watch", "auth-pass", "w.2")
    stage.panel.install("primary")
    group.configured(**ALL_TLS)
    group.is_encrypted()
    group.fails_over()
    group.configured(**BESIDE)
    group.is_plain()
    group.fails_over()


@pytest.mark.long
def test_a_sentinel_that_could_not_start_again_is_not_stopped(stage: Stage) -> None:
    # It writes this one without quotes.
    group = Sentinels(stage, USUAL, password=PASSWORD)
    stage.panel.install("primary")
    assert refused(stage.panel.run("primary", "configure", ALL_TLS)) == "BadLine"
    group.is_plain()
