"""The nouns: what they print, for people and for programs, and how they end."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from django.utils import timezone
from kombu import Connection

from addons.engine.conditions import Condition, merge
from addons.models import (
    Authority,
    EnvironmentAuthority,
    Installation,
    NodeInstallation,
    Run,
    RunNode,
    StepRecord,
)
from instances.models import AuditEvent, Credential, Environment, Machine, Node, NodeGroup
from panel.management import terminal, waiting
from panel.management.commands import addon as addon_command
from panel.management.commands import node as node_command
from tests.cli.conftest import Call

_KEY = "SHA256:" + "A" * 43


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers."""
    for module in (addon_command, node_command):
        monkeypatch.setattr(module, "require_worker", lambda: None)


@pytest.fixture
def cache(ready: None) -> NodeGroup:
    group = NodeGroup.objects.create(
        environment=Environment.objects.create(name="shop"), name="cache"
    )
    credential = Credential.objects.create(name="main", private_key="-", public_key="ssh-ed25519 A")
    machine = Machine.objects.create(address="192.0.2.1", credential=credential)
    Node.objects.create(group=group, machine=machine, name="redis-1")
    return group


Work = Callable[[], object]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Work]]:
    """What a worker does meanwhile: one call each time the command waits."""
    calls: list[Work] = []

    def sleep(_seconds: float) -> None:
        assert calls, "the command waits for something that does not happen"
        calls.pop(0)()

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    yield calls
    assert not calls, "the command did not wait until the end"


def _preview(**more: Any) -> Work:
    change = {
        "step": "firewall",
        "says": "One rule is new.",
        "lines": [{"kind": "add", "text": "tcp dport 6380 accept"}],
        "interrupts": 0,
        "delays": 0,
    }
    warning = {"code": "Open", "message": "Everybody gets in.", "next_step": "Choose networks."}

    def previewed() -> None:
        run = Run.objects.latest("pk")
        preview = {"changes": [change], "warnings": [warning]}
        run.nodes.update(preview=preview, digest="d1")
        Run.objects.filter(pk=run.pk).update(**{"state": Run.State.PREVIEWED, **more})

    return previewed


def _step(kind: StepRecord.Kind, says: str) -> Work:
    def recorded() -> None:
        run = Run.objects.latest("pk")
        StepRecord.objects.create(
            run=run,
            node=run.nodes.get().node,
            attempt=1,
            step="firewall",
            kind=kind,
            says=says,
            at=timezone.now(),
            state={"rule": "was absent"},
        )

    return recorded


def _end(state: Run.State, node: RunNode.State, failure: dict[str, str] | None = None) -> Work:
    def ended() -> None:
        run = Run.objects.latest("pk")
        run.nodes.update(state=node)
        Run.objects.filter(pk=run.pk).update(state=state, failure=failure or {})

    return ended


_FAILURE = {
    "node": "redis-1",
    "step": "firewall",
    "reason": "RuleRefused",
    "message": "redis-1: the rule was refused.",
    "next_step": "Look at nft list ruleset.",
}


# Environments, credentials, authorities.


def test_an_environment_is_made_and_listed(call: Call) -> None:
    assert call("environment", "add", "shop", "--region", "eu-west").status == 0
    said = call("environment", "list", "--json")
    assert said.json() == [{"name": "shop", "region": "eu-west", "groups": 0, "nodes": 0}]
    assert "eu-west" in call("environment", "list").out
    event = AuditEvent.objects.get(verb="environment.create")
    assert (event.source, event.actor) == ("terminal", None)


def test_a_node_is_moved_into_another_group(call: Call, cache: NodeGroup) -> None:
    queue = NodeGroup.objects.create(environment=cache.environment, name="queue")
    said = call("node", "move", "shop", "cache", "redis-1", "queue")
    assert (said.status, said.out) == (0, "redis-1 is in shop / queue now.\n")
    assert queue.nodes.filter(name="redis-1").exists()
    assert call("node", "move", "shop", "cache", "redis-1", "queue").status == 1
    assert call("node", "move", "shop", "queue", "redis-1", "cellar").status == 1


def test_an_environment_and_a_node_are_archived_unless_something_is_on(
    call: Call, cache: NodeGroup
) -> None:
    node = cache.nodes.get()
    installation = Installation.objects.create(group=cache, addon="encryption", generation=1)
    said = call("environment", "archive", "shop")
    assert said.status == 1
    assert "is on in shop / cache" in said.err
    installation.delete()
    assert call("node", "archive", "shop", "cache", node.name).status == 0
    assert call("node", "archive", "shop", "cache", node.name).status == 1
    assert call("environment", "list", "--json").json()[0]["nodes"] == 0
    assert call("environment", "archive", "shop").status == 0
    assert call("environment", "list", "--json").json() == []
    assert AuditEvent.objects.filter(verb__endswith=".archive", source="terminal").count() == 2


def test_a_bad_name_is_an_error_with_its_reason(call: Call) -> None:
    said = call("environment", "add", "Shop!")
    assert (said.status, said.out) == (1, "")
    assert "lower-case" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["environment"],
        ["environment", "remove"],
        ["node", "add", "shop"],
        ["node", "add", "shop", "cache", "a", "--host-key", "k", "--known-hosts", "f"],
        ["addon", "plan", "shop", "cache", "encryption", "--set", "tls_port"],
        ["run", "show", "first"],
        ["run", "resolve", "1"],
        ["backup"],
    ],
)
def test_bad_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = load_command_class("panel", words[0])
    with pytest.raises(SystemExit) as end:
        command.run_from_argv(["manage.py", *words])
    assert end.value.code == 2
    assert "usage: manage.py" in capsys.readouterr().err


def test_a_new_credential_prints_the_line_to_paste_and_no_private_key(call: Call) -> None:
    said = call("credential", "add", "main")
    assert said.status == 0
    assert said.out.startswith("ssh-ed25519 ")
    private = Credential.objects.get().private_key.reveal()
    assert private.splitlines()[1] not in said.out + said.err
    assert call("credential", "list", "--json").json() == [
        {"name": "main", "public_key": said.out.strip()}
    ]


def test_a_private_key_that_cannot_be_read_is_named(call: Call, tmp_path: Path) -> None:
    said = call("credential", "add", "main", "--private-key", str(tmp_path / "none"))
    assert said.status == 1
    assert "none cannot be read" in said.err


def test_an_authority_is_printed_as_pem_and_nothing_else(call: Call, cache: NodeGroup) -> None:
    missing = call("authority", "export", "shop")
    assert (missing.status, missing.out) == (1, "")
    assert "has no certificate authority yet" in missing.err
    now = timezone.now()
    authority = Authority.objects.create(
        name="a", certificate="-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
        private_key="k", key_type="ec", fingerprint="f", not_before=now, not_after=now,
    )  # fmt: skip
    EnvironmentAuthority.objects.create(environment=cache.environment, authority=authority)
    said = call("authority", "export", "shop")
    assert (said.status, said.out, said.err) == (0, authority.certificate, "")


# Nodes.


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a worker's looks find, one after the other."""
    found: list[dict[str, Any]] = []

    class Task:
        @staticmethod
        def delay(pk: int) -> None:
            fields = found.pop(0)
            Machine.objects.filter(nodes=pk).update(**fields.pop("machine", {}))
            Node.objects.filter(pk=pk).update(looked_at=timezone.now(), **fields)

    monkeypatch.setattr(node_command, "node_look", Task)
    return found


_FACTS = {
    "server": {"product": "redis", "version": "7.0.15", "unit": "redis-server.service"},
    "os": {"name": "Debian 12"},
}


def test_a_node_is_registered_and_what_was_found_is_told(
    call: Call, looks: list[dict[str, Any]]
) -> None:
    call("environment", "add", "shop")
    looks.append({"facts": _FACTS})
    said = call(
        "node", "add", "shop", "cache", "192.0.2.7", "--name", "redis-7", "--host-key", _KEY,
        "--client-address", "redis.example", "--client-address", "192.0.2.7",
    )  # fmt: skip
    assert said.status == 0, said.err
    assert said.out.startswith("redis-7: redis 7.0.15, on Debian 12, unit redis-server.service")
    node = Node.objects.get()
    assert node.machine.expected_fingerprint == _KEY
    assert node.client_addresses == ["redis.example", "192.0.2.7"]
    row = call("node", "list", "shop", "cache", "--json").json()[0]
    assert (row["name"], row["address"], row["server"]) == ("redis-7", "192.0.2.7", "redis 7.0.15")


def test_an_unconfirmed_host_key_says_what_to_pass(call: Call, looks: list[dict[str, Any]]) -> None:
    call("environment", "add", "shop")
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDjtP2j3mYGaA1vnl3Aa7kFioMg5AJC3AZVWvhD6t5Iu"
    fault = {"reason": "HostKeyUnconfirmed", "message": "Not confirmed.", "next_step": "Do it."}
    looks.append({"fault": fault, "machine": {"host_key": line}})
    said = call("node", "add", "shop", "cache", "192.0.2.7")
    assert said.status == 1
    assert "--host-key" in said.err
    assert "SHA256:" in said.err
    assert Node.objects.count() == 1
    assert Machine.objects.get().host_key_confirmed_at is None


def test_a_confirmed_host_key_is_pinned_and_the_node_looked_at_again(
    call: Call, looks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("environment", "add", "shop")
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDjtP2j3mYGaA1vnl3Aa7kFioMg5AJC3AZVWvhD6t5Iu"
    fault = {"reason": "HostKeyUnconfirmed", "message": "Not confirmed.", "next_step": "Do it."}
    looks += [{"fault": fault, "machine": {"host_key": line}}, {"fault": {}, "facts": _FACTS}]
    monkeypatch.setattr(node_command, "interactive", lambda: True)
    monkeypatch.setattr(node_command, "confirm", lambda _question: True)
    said = call("node", "add", "shop", "cache", "192.0.2.7")
    assert said.status == 0, said.err
    assert Machine.objects.get().host_key_confirmed_at is not None


def test_a_node_that_cannot_be_used_is_registered_and_the_command_fails(
    call: Call, looks: list[dict[str, Any]]
) -> None:
    call("environment", "add", "shop")
    fault = {"reason": "NoServer", "message": "No Redis runs there.", "next_step": "Start it."}
    looks.append({"fault": fault})
    said = call("node", "add", "shop", "cache", "192.0.2.7", "--host-key", _KEY)
    assert said.status == 1
    assert "No Redis runs there." in said.err
    assert "Next: Start it." in said.err
    looks.append({"fault": fault})
    assert call("node", "refresh", "shop", "cache", "--json").status == 1
    looks.append({"fault": {}})
    assert call("node", "refresh", "shop", "cache").status == 0


def test_waiting_for_a_look_ends(
    call: Call, cache: NodeGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Task:
        @staticmethod
        def delay(pk: int) -> None:
            """Nobody hears."""

    monkeypatch.setattr(node_command, "node_look", Task)
    said = call("node", "refresh", "shop", "cache", "--timeout", "0.2", "--json")
    assert said.status == 1
    assert said.json()[0]["fault"]["reason"] == "NotLookedAt"


def test_a_servers_password_is_stored_and_never_shown(
    call: Call, looks: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("blue horses\n")
    call("environment", "add", "shop")
    looks.append({"facts": _FACTS})
    said = call(
        "node", "add", "shop", "cache", "192.0.2.7", "--host-key", _KEY,
        "--server-user", "panel", "--server-password-file", str(file),
    )  # fmt: skip
    listed = call("node", "list", "--json")
    assert "horses" not in said.out + said.err + listed.out
    assert Node.objects.get().server_password.reveal() == "blue horses"


def test_what_is_no_fingerprint_is_refused_before_anything_is_stored(call: Call) -> None:
    call("environment", "add", "shop")
    assert call("node", "add", "shop", "cache", "192.0.2.7", "--host-key", "aa:bb").status == 1
    assert not Node.objects.exists()


# Add-ons.


def test_a_plan_is_shown_and_dropped(call: Call, cache: NodeGroup, worker: list[Work]) -> None:
    worker.append(_preview())
    said = call("addon", "plan", "shop", "cache", "encryption", "--set", "tls_port=6390")
    assert said.status == 0, said.err
    assert "One rule is new." in said.out
    assert "+ tcp dport 6380 accept" in said.out
    assert "Everybody gets in. Choose networks." in said.out
    run = Run.objects.get()
    assert (run.state, run.spec["tls_port"]) == (Run.State.DISCARDED, 6390)


def test_a_plan_for_programs(call: Call, cache: NodeGroup, worker: list[Work]) -> None:
    worker.append(_preview())
    found = call("addon", "plan", "shop", "cache", "encryption", "--json").json()
    assert set(found) == {"run", "state", "nodes", "failure"}
    assert (found["state"], found["failure"]) == ("previewed", None)
    assert set(found["nodes"][0]) == {"name", "changes", "warnings", "digest"}
    assert found["nodes"][0]["digest"] == "d1"


def test_a_refused_plan_fails(call: Call, cache: NodeGroup, worker: list[Work]) -> None:
    worker.append(_preview(state=Run.State.REFUSED, failure=_FAILURE))
    said = call("addon", "plan", "shop", "cache", "encryption")
    assert said.status == 1
    assert "Next: Look at nft list ruleset." in said.err


def test_an_installation_tells_each_step_as_it_comes(
    call: Call, cache: NodeGroup, worker: list[Work]
) -> None:
    worker += [
        _step(StepRecord.Kind.BEFORE, ""),
        _step(StepRecord.Kind.APPLIED, "One rule was added."),
        _end(Run.State.SUCCEEDED, RunNode.State.DONE),
    ]
    said = call("addon", "install", "shop", "cache", "encryption", "--yes")
    assert said.status == 0, said.err
    assert said.out.count("One rule was added.") == 1
    assert "was absent" not in said.out
    assert "Run" in said.out
    assert "done" in said.out


def test_an_installation_for_programs_prints_only_json(
    call: Call, cache: NodeGroup, worker: list[Work]
) -> None:
    worker += [
        _step(StepRecord.Kind.APPLIED, "One rule was added."),
        _end(Run.State.SUCCEEDED, RunNode.State.DONE),
    ]
    found = call("addon", "install", "shop", "cache", "encryption", "--yes", "--json").json()
    assert found == {
        "run": Run.objects.get().pk,
        "state": "succeeded",
        "nodes": [{"name": "redis-1", "state": "done"}],
        "failure": None,
    }


def test_an_installation_that_was_put_back_fails(
    call: Call, cache: NodeGroup, worker: list[Work]
) -> None:
    worker.append(_end(Run.State.PUT_BACK, RunNode.State.PUT_BACK, _FAILURE))
    said = call("addon", "install", "shop", "cache", "encryption", "--yes")
    assert said.status == 1
    assert "redis-1: the rule was refused." in said.err
    assert "put back" in said.out


def test_without_a_terminal_a_change_wants_yes(call: Call, cache: NodeGroup) -> None:
    said = call("addon", "install", "shop", "cache", "encryption")
    assert said.status == 2
    assert "--yes" in said.err
    assert not Run.objects.exists()


def test_certificates_are_re_issued_from_the_terminal(
    call: Call, cache: NodeGroup, worker: list[Work]
) -> None:
    Installation.objects.create(group=cache, addon="encryption", generation=1)
    asked = call("addon", "reissue", "shop", "cache", "encryption")
    assert asked.status == 2
    assert "addon plan shop cache encryption --reissue" in asked.err
    worker.append(_preview())
    assert call("addon", "plan", "shop", "cache", "encryption", "--reissue").status == 0
    worker.append(_end(Run.State.SUCCEEDED, RunNode.State.DONE))
    found = call("addon", "reissue", "shop", "cache", "encryption", "--yes", "--json").json()
    assert (found["state"], found["failure"]) == ("succeeded", None)
    assert set(Run.objects.values_list("action", flat=True)) == {"reissue"}
    worker.append(_end(Run.State.PUT_BACK, RunNode.State.PUT_BACK, _FAILURE))
    assert call("addon", "reissue", "shop", "cache", "encryption", "--yes").status == 1


def test_settings_are_changed_where_the_add_on_is_on(
    call: Call, cache: NodeGroup, worker: list[Work]
) -> None:
    words = ("addon", "configure", "shop", "cache", "encryption")
    nothing = call(*words, "--yes")
    assert nothing.status
    assert "--set" in nothing.err

    absent = call(*words, "--set", "plaintext=off", "--yes")
    assert absent.status == 1
    assert "is not installed on" in absent.err

    Installation.objects.create(
        group=cache, addon="encryption", generation=1, spec={"tls_port": 7443}
    )
    asked = call(*words, "--set", "plaintext=off")
    assert asked.status == 2
    assert "addon plan shop cache encryption --configure" in asked.err

    wrong = call(*words, "--set", "plaintext=perhaps", "--yes")
    assert wrong.status == 1
    assert "plaintext" in wrong.err

    worker.append(_end(Run.State.SUCCEEDED, RunNode.State.DONE))
    found = call(*words, "--set", "plaintext=off", "--yes", "--json").json()
    assert found["state"] == "succeeded"
    run = Run.objects.get()
    assert run.action == "configure"
    assert (run.spec["plaintext"], run.spec["tls_port"]) == ("off", 7443)


def test_what_is_not_installed_is_not_re_issued(call: Call, cache: NodeGroup) -> None:
    said = call("addon", "reissue", "shop", "cache", "encryption", "--yes")
    assert said.status == 1
    assert "is not installed on" in said.err


@pytest.mark.parametrize("agrees", [True, False])
def test_on_a_terminal_the_preview_is_confirmed(
    call: Call,
    cache: NodeGroup,
    worker: list[Work],
    monkeypatch: pytest.MonkeyPatch,
    *,
    agrees: bool,
) -> None:
    monkeypatch.setattr(addon_command, "interactive", lambda: True)
    monkeypatch.setattr(addon_command, "confirm", lambda _question: agrees)
    worker.append(_preview())
    if agrees:
        worker.append(_end(Run.State.SUCCEEDED, RunNode.State.DONE))
    said = call("addon", "install", "shop", "cache", "encryption")
    assert "One rule is new." in said.out
    assert said.status == (0 if agrees else 1)
    assert Run.objects.get().state == (Run.State.SUCCEEDED if agrees else Run.State.DISCARDED)


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_follow_it(
    call: Call, cache: NodeGroup, worker: list[Work]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    worker.append(interrupt)
    said = call("addon", "install", "shop", "cache", "encryption", "--yes")
    run = Run.objects.get()
    assert said.status == 130
    assert f"manage.py run show {run.pk} --follow" in said.err
    assert run.state == Run.State.QUEUED


def test_a_wrong_setting_is_named(call: Call, cache: NodeGroup) -> None:
    said = call(
        "addon", "install", "shop", "cache", "encryption", "--yes", "--set", "tls_port=many"
    )
    assert said.status == 1
    assert not Run.objects.exists()
    assert call("addon", "plan", "shop", "cache", "nothing").status == 1
    assert call("addon", "plan", "shop", "nowhere", "encryption").status == 1


def test_the_status_is_what_was_last_observed(call: Call, cache: NodeGroup) -> None:
    absent = call("addon", "status", "shop", "cache", "encryption", "--json")
    assert (absent.status, absent.json()["installed"]) == (0, False)
    installation = Installation.objects.create(group=cache, addon="encryption", generation=1)
    unknown = call("addon", "status", "shop", "cache", "encryption")
    assert unknown.status == 1
    assert "unknown" in unknown.out
    encrypted = Condition("Encrypted", "true", "Verified", "TLSv1.3", 1, "2026-01-01T00:00:00Z")
    NodeInstallation.objects.create(
        installation=installation,
        node=cache.nodes.get(),
        conditions=merge([], encrypted),
        observed={"tls_port": 6380},
        observed_at=timezone.now(),
    )
    said = call("addon", "status", "shop", "cache", "encryption", "--json")
    assert said.status == 0
    node = said.json()["nodes"][0]
    assert (node["name"], node["observed"]) == ("redis-1", {"tls_port": 6380})
    assert node["conditions"][0]["type"] == "Encrypted"
    NodeInstallation.objects.update(observed_at=timezone.now() - timedelta(days=2))
    stale = call("addon", "status", "shop", "cache", "encryption")
    assert stale.status == 1
    assert "unknown" in stale.out


# Runs.


def test_a_run_is_listed_shown_and_stopped(call: Call, cache: NodeGroup) -> None:
    installation = Installation.objects.create(group=cache, addon="encryption")
    run = Run.objects.create(
        installation=installation, action="install", state=Run.State.RUNNING, actor_name="alice"
    )
    RunNode.objects.create(run=run, node=cache.nodes.get())
    _step(StepRecord.Kind.APPLIED, "One rule was added.")()
    assert call("run", "list", "--json").json()[0]["by"] == "alice"
    assert "One rule was added." in call("run", "show", str(run.pk)).out
    shown = call("run", "show", str(run.pk), "--json").json()
    assert shown["records"][0]["says"] == "One rule was added."
    assert "state" not in shown["records"][0]
    assert call("run", "stop", str(run.pk)).status == 0
    run.refresh_from_db()
    assert run.stop_requested
    assert call("run", "resolve", str(run.pk), "--note", "done").status == 1
    assert call("run", "show", "99999").status == 1


# What all of them share.


def test_without_a_broker_nothing_is_begun(
    call: Call, cache: NodeGroup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(addon_command, "require_worker", terminal.require_worker)
    gone = partial(Connection, f"redis+socket://{tmp_path}/broker.sock")
    monkeypatch.setattr(terminal.app, "connection_for_write", gone)
    said = call("addon", "install", "shop", "cache", "encryption", "--yes")
    assert said.status == 1
    assert "manage.py start" in said.err
    assert not Run.objects.exists()


def test_the_audit_log_knows_who_typed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "carol")
    call("environment", "add", "shop")
    assert AuditEvent.objects.get().actor_name == "carol"


def test_json_needs_no_colours_to_be_parsed(call: Call, cache: NodeGroup) -> None:
    said = call("node", "list", "--json")
    assert json.loads(said.out)[0]["fault"] == {}
    assert "\x1b" not in said.out
    assert os.environ.get("REDOUBT_STATE")
