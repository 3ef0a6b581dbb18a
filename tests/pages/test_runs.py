"""From the settings over the preview to the end of a run, as pages show it."""

import pytest
from django.test import Client
from django.utils import timezone

from addons.models import Installation, Run, RunNode
from instances.models import AuditEvent
from tests.pages.html import read
from tests.pages.world import VERIFIED, World

HTMX = {"HX-Request": "true"}
SETTINGS = {
    "tls_port": "6390",
    "tls_auth_clients": "optional",
    "networks": "10.0.0.0/8, 192.168.0.0/16",
    "bind": "keep",
    "protected_mode": "keep",
    "apply": "live",
    "lifetime_days": "90",
    "key_type": "ec-p256",
    "directory": "",
    "adopt": "no",
}
INSTALL = "/environments/shop/cache/addons/encryption/install/"


def defaults(signed_in: Client) -> dict[str, str]:
    form = signed_in.get(INSTALL).context["form"]
    return {name: str(form[name].value() or "") for name in form.fields} | {"groups": "cache"}


def test_the_install_form_makes_a_preview_and_changes_nothing(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    wanted = {**defaults(signed_in), **SETTINGS}
    response = signed_in.post(INSTALL, wanted)
    run = Run.objects.get()
    assert response["Location"] == run.get_absolute_url()
    assert run.state == Run.State.PREVIEWING
    assert run.spec["tls_port"] == 6390
    assert run.spec["networks"] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert AuditEvent.objects.filter(verb="run.preview", actor_name="ada").exists()


def test_safe_defaults_are_filled_in(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    response = signed_in.post(INSTALL, defaults(signed_in))
    assert response.status_code == 302
    assert Run.objects.get().spec["tls_auth_clients"] == "optional"


def test_a_bad_setting_is_said_at_its_field(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    response = signed_in.post(
        INSTALL, {**defaults(signed_in), "networks": "here", "tls_port": "7000"}
    )
    text = response.content.decode()
    assert "“here” is not a network" in text
    assert 'value="7000"' in text
    assert not Run.objects.exists()


def test_a_group_without_nodes_is_told_to_get_some(signed_in: Client, world: World) -> None:
    world.group("shop", "cache", nodes=0)
    assert b"Add a node first" in signed_in.get("/environments/shop/cache/addons/").content
    response = signed_in.post(INSTALL, defaults(signed_in))
    assert b"Add a node to the group first." in response.content


def test_changed_settings_begin_with_the_stored_ones(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache")
    world.installed(group, VERIFIED, VERIFIED)
    Installation.objects.update(spec={"tls_port": 7001, "networks": ["10.1.0.0/16"]})
    text = signed_in.get(INSTALL).content.decode()
    assert 'value="7001"' in text
    assert 'value="10.1.0.0/16"' in text


def test_an_add_on_that_does_not_exist_is_not_found(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    assert signed_in.get("/environments/shop/cache/addons/magic/install/").status_code == 404


def test_a_preview_shows_the_exact_difference_of_each_node(signed_in: Client, world: World) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.PREVIEWED)
    text = signed_in.get(run.get_absolute_url()).content.decode()
    assert '<span class="add">+tls-port 6380</span>' in text
    assert '<span class="del">-tls-port 0</span>' in text
    assert "requirepass ••••" in text
    assert "2 changes · live" in text
    assert "The plain port is open." in text
    assert "No restart, no interruption" in text
    assert "Install on 2 nodes" in text


def test_a_preview_with_a_restart_says_for_how_long(signed_in: Client, world: World) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.PREVIEWED)
    row = run.nodes.first()
    assert row
    nothing = {"lines": [], "interrupts": 0, "delays": 0}
    restart = nothing | {"step": "restart", "says": "Restart.", "interrupts": 400}
    row.preview = {"changes": [restart], "warnings": []}
    row.save()
    text = signed_in.get(run.get_absolute_url()).content.decode()
    assert "1 node restarts, about 0.4 s without it" in text
    assert "1 change · restart" in text
    handover = nothing | {"step": "handover", "says": "The role moves.", "delays": 2500}
    row.preview = {"changes": [handover, restart], "warnings": []}
    row.save()
    text = signed_in.get(run.get_absolute_url()).content.decode()
    assert "1 node restarts, about 0.4 s without it; writes wait about 2.5 s" in text


def test_a_confirmed_preview_is_queued(signed_in: Client, world: World) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.PREVIEWED)
    signed_in.post(f"/runs/{run.pk}/confirm/")
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED


def test_a_preview_confirmed_twice_says_so_and_is_started_once(
    signed_in: Client, world: World
) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.PREVIEWED)
    signed_in.post(f"/runs/{run.pk}/confirm/")
    again = signed_in.post(f"/runs/{run.pk}/confirm/", follow=True)
    assert b"its state has changed meanwhile" in again.content
    assert AuditEvent.objects.filter(verb="run.confirm").count() == 1


def test_a_discarded_preview_leads_back(signed_in: Client, world: World) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.PREVIEWED)
    response = signed_in.post(f"/runs/{run.pk}/discard/")
    assert response["Location"] == "/environments/shop/cache/addons/"
    run.refresh_from_db()
    assert run.state == Run.State.DISCARDED


def test_an_uninstall_is_previewed_first_and_confirmed_with_a_red_button(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    page = signed_in.get("/environments/shop/cache/addons/").content
    assert b"Clients that use it lose their connection" in page
    signed_in.post("/environments/shop/cache/addons/encryption/-/uninstall/")
    run = Run.objects.get()
    assert (run.action, run.state) == ("uninstall", Run.State.PREVIEWING)
    Run.objects.update(state=Run.State.PREVIEWED)
    page = signed_in.get(run.get_absolute_url()).content.decode()
    assert "btn-danger" in page
    assert "Uninstall from 2 nodes" in page


def test_re_issued_certificates_are_previewed_first_from_the_cards_menu(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    page = signed_in.get("/environments/shop/cache/addons/").content.decode()
    action = "/environments/shop/cache/addons/encryption/-/reissue/"
    assert f'action="{action}"' in page
    assert "Re-issue certificates…" in page
    signed_in.post(action)
    run = Run.objects.get()
    assert (run.action, run.state) == ("reissue", Run.State.PREVIEWING)
    Run.objects.update(state=Run.State.PREVIEWED)
    page = signed_in.get(run.get_absolute_url()).content.decode()
    assert "Re-issue on 2 nodes" in page


def test_what_is_not_installed_cannot_be_uninstalled(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    response = signed_in.post(
        "/environments/shop/cache/addons/encryption/-/uninstall/", follow=True
    )
    assert b"is not installed on" in response.content
    assert not Run.objects.exists()


def running(world: World) -> Run:
    run = world.run(world.group("shop", "cache"), Run.State.RUNNING, started_at=timezone.now())
    one, two = (row.node for row in run.nodes.select_related("node"))
    for step in ("certificate", "firewall", "configuration"):
        world.record(run, one, step, "before")
        world.record(run, one, step, "applied", f"{step} is done")
    world.record(run, one, "verify", "verified", "verified from the panel: TLSv1.3")
    run.nodes.filter(node=one).update(state=RunNode.State.DONE, started_at=run.started_at)
    world.record(run, two, "certificate", "before")
    run.nodes.filter(node=two).update(state=RunNode.State.RUNNING, started_at=run.started_at)
    return run


def test_a_running_run_shows_nodes_by_steps_and_what_happened(
    signed_in: Client, world: World
) -> None:
    run = running(world)
    response = signed_in.get(run.get_absolute_url())
    board = response.context["page"].board
    assert list(board.columns) == [
        "Connect",
        "Certificate",
        "Firewall",
        "Configuration",
        "Verify",
    ]
    kinds = [[cell.kind for _, cell in row.cells] for row in board.rows]
    assert kinds == [["done"] * 5, ["done", "run", "todo", "todo", "todo"]]
    text = response.content.decode()
    assert "1 of 2 nodes done" in text
    assert "verified from the panel: TLSv1.3" in text
    assert '<span class="visually-hidden">under way</span>' in text
    assert "Stop and put back" in text


def test_what_a_run_holds_is_said_until_it_lets_go_of_it(signed_in: Client, world: World) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.RUNNING, started_at=timezone.now())
    row = run.nodes.select_related("node").first()
    assert row is not None
    world.record(run, row.node, "failover", "held", "Failover is off")
    page = signed_in.get(run.get_absolute_url()).content.decode()
    assert 'role="status"><div class="alert-icon">' in page
    assert page.count("Failover is off") == 2
    world.record(run, row.node, "failover", "released", "Failover is on again, after 3 seconds")
    page = signed_in.get(run.get_absolute_url()).content.decode()
    assert page.count("Failover is off") == 1
    assert "after 3 seconds" in page
    assert "held, and let go" in page


def test_a_preview_is_no_attempt_but_a_takeover_is_a_second(
    signed_in: Client, world: World
) -> None:
    run = running(world)
    Run.objects.update(attempt=2)
    assert "attempt" not in signed_in.get(run.get_absolute_url()).content.decode()
    record = world.record(run, run.nodes.all()[1].node, "certificate", "applied", "news")
    type(record).objects.filter(pk=record.pk).update(attempt=3)
    assert "attempt 2" in signed_in.get(run.get_absolute_url()).content.decode()


@pytest.mark.usefixtures("clock_stands_still")
def test_a_reload_a_second_viewer_and_a_poll_see_the_same(signed_in: Client, world: World) -> None:
    run = running(world)
    page = signed_in.get(run.get_absolute_url())
    poll = signed_in.get(run.get_absolute_url(), headers=HTMX)
    assert poll.status_code == 200
    body = poll.content.decode().split("</title>")[1]
    tokens = [part.split('"')[0] for part in body.split('name="csrfmiddlewaretoken" value="')[1:]]
    assert tokens == []
    assert body.strip() in page.content.decode()
    assert 'hx-trigger="every 1s"' in body


def test_a_poll_without_news_gets_nothing(signed_in: Client, world: World) -> None:
    run = running(world)
    version = signed_in.get(run.get_absolute_url()).context["page"].version
    address = f"{run.get_absolute_url()}?seen={version}"
    assert signed_in.get(address, headers=HTMX).status_code == 204
    world.record(run, run.nodes.all()[1].node, "certificate", "applied", "news")
    assert b"news" in signed_in.get(address, headers=HTMX).content


@pytest.mark.parametrize("state", Run.ENDED)
def test_polling_stops_when_the_run_has_ended(
    state: Run.State, signed_in: Client, world: World
) -> None:
    run = world.run(world.group("shop", "cache"), state)
    response = signed_in.get(run.get_absolute_url() + "?seen=x", headers=HTMX)
    assert response.status_code == 286
    assert b"hx-trigger" not in response.content
    assert b"every 1s" not in signed_in.get(run.get_absolute_url()).content


def test_stop_and_put_back_is_asked_of_the_worker(signed_in: Client, world: World) -> None:
    run = running(world)
    response = signed_in.post(f"/runs/{run.pk}/stop/", follow=True)
    run.refresh_from_db()
    assert run.stop_requested
    assert b"Stopping" in response.content


def test_a_stuck_run_shows_its_first_error_and_both_ways_out(
    signed_in: Client, world: World
) -> None:
    failure = {
        "node": "cache-1",
        "step": "verify",
        "reason": "ChainInvalid",
        "message": "cache-1: the chain is not ours.",
        "next_step": "Look at tls-cert-file.",
    }
    run = world.run(world.group("shop", "cache"), Run.State.STUCK, failure=failure)
    one = run.nodes.all()[0].node
    world.record(run, one, "firewall", "before")
    world.record(run, one, "firewall", "applied", "1 rule added")
    world.record(run, one, "verify", "failed", "the chain is not ours")
    world.record(run, one, "firewall", "undo_failed", "the rule is gone")
    response = signed_in.get(run.get_absolute_url())
    text = response.content.decode()
    for part in ("the chain is not ours.", "Look at tls-cert-file.", "Retry put-back", "resolved"):
        assert part in text
    kinds = {title: cell.kind for title, cell in response.context["page"].board.rows[0].cells}
    assert (kinds["Firewall"], kinds["Verify"]) == ("bad", "bad")


def test_a_stuck_run_is_tried_again(signed_in: Client, world: World) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.STUCK)
    signed_in.post(f"/runs/{run.pk}/retry/")
    run.refresh_from_db()
    assert run.state == Run.State.PUTTING_BACK


def test_a_stuck_run_is_resolved_with_a_note(signed_in: Client, world: World) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.STUCK)
    signed_in.post(f"/runs/{run.pk}/resolve/", {"note": "deleted the rule"})
    run.refresh_from_db()
    assert run.state == Run.State.RESOLVED
    assert AuditEvent.objects.get(verb="run.resolve").detail == {"note": "deleted the rule"}


def test_runs_are_narrowed_by_state_environment_action_person_and_whether_they_work(
    signed_in: Client, world: World
) -> None:
    done = world.run(world.group("shop", "cache"), Run.State.SUCCEEDED)
    works = world.run(world.group("bank", "ledger"), Run.State.RUNNING)
    asked = {
        "?state=succeeded": [done],
        "?environment=bank": [works],
        "?under_way=true": [works],
        "?what=encryption:install": [works, done],
        "?what=encryption:uninstall": [],
        "?what=nonsense": [],
        "?by=ADA": [works, done],
        "?by=bob": [],
        "?sort=-newest": [done, works],
        "?sort=state": [works, done],
        "?sort=nonsense": [],
        "?environment=nowhere": [],
        "": [works, done],
    }
    for query, expected in asked.items():
        lines = signed_in.get(f"/runs/{query}").context["lines"]
        assert [line.run for line in lines] == expected, query


@pytest.mark.parametrize("state", [Run.State.PUT_BACK, Run.State.REFUSED, Run.State.RESOLVED])
def test_a_run_that_failed_is_retried_by_a_new_preview_with_the_same_settings(
    state: Run.State, signed_in: Client, world: World
) -> None:
    run = world.run(world.group("shop", "cache"), state)
    Run.objects.update(spec={"tls_port": 6399, "networks": ["10.9.0.0/16"]})
    assert ">Retry</button>" in signed_in.get(run.get_absolute_url()).content.decode()
    response = signed_in.post(f"/runs/{run.pk}/repeat/")
    again = Run.objects.latest("pk")
    assert response["Location"] == again.get_absolute_url()
    assert again.state == Run.State.PREVIEWING
    assert (again.action, again.spec["tls_port"], again.spec["networks"]) == (
        "install",
        6399,
        ["10.9.0.0/16"],
    )
    assert AuditEvent.objects.get(verb="run.repeat").detail == {"of": run.pk}


@pytest.mark.parametrize("state", [Run.State.SUCCEEDED, Run.State.RUNNING, Run.State.STUCK])
def test_only_a_run_that_failed_is_retried(
    state: Run.State, signed_in: Client, world: World
) -> None:
    run = world.run(world.group("shop", "cache"), state)
    assert ">Retry</button>" not in signed_in.get(run.get_absolute_url()).content.decode()
    response = signed_in.post(f"/runs/{run.pk}/repeat/", follow=True)
    assert b"nothing to retry" in response.content
    assert Run.objects.count() == 1


def test_an_uninstall_is_not_retried_where_nothing_is_installed_any_more(
    signed_in: Client, world: World
) -> None:
    run = world.run(world.group("shop", "cache"), Run.State.PUT_BACK, action="uninstall")
    response = signed_in.post(f"/runs/{run.pk}/repeat/", follow=True)
    assert b"is not installed on" in response.content
    assert Run.objects.count() == 1


def test_the_audit_log_is_narrowed_by_who_what_and_text(signed_in: Client, world: World) -> None:
    world.group("shop", "cache")
    assert len(signed_in.get("/audit/?verb=group.").context["events"]) == 1
    assert len(signed_in.get("/audit/?actor=ada&q=cache-1").context["events"]) == 1
    assert len(signed_in.get("/audit/?actor=nobody").context["events"]) == 0


def test_every_field_of_the_page_is_tied_to_its_explanation(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    page = read(signed_in.get(INSTALL).content)
    port = next(e for e in page.elements if e.attrs.get("name") == "tls_port")
    assert port.attrs["aria-describedby"] == "id_tls_port-help"
    assert "id_tls_port-help" in page.ids


def test_settings_that_few_change_are_folded_until_one_matters(
    signed_in: Client, world: World
) -> None:
    group = world.group("shop", "cache")
    assert b"<details><summary>More settings" in signed_in.get(INSTALL).content
    wrong = signed_in.post(INSTALL, {**defaults(signed_in), "ciphers": "NULL-MADE-UP"})
    assert b"<details open><summary>More settings" in wrong.content
    assert "not a list of ciphers" in wrong.content.decode()
    Installation.objects.filter(pk=world.installed(group).pk).update(spec={"lifetime_days": 90})
    assert b"<details open><summary>More settings" in signed_in.get(INSTALL).content


def test_settings_of_an_installed_add_on_are_changed_not_installed(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    page = signed_in.get(INSTALL).content.decode()
    assert "Change settings" in page
    assert "Plain port not sampled yet" in page
    signed_in.post(INSTALL, {**defaults(signed_in), "plaintext": "off", "sans": "db.example.org"})
    run = Run.objects.get()
    assert (run.action, run.spec["plaintext"]) == ("configure", "off")
    assert run.spec["sans"] == ["db.example.org"]


def test_a_refusal_for_its_cluster_s_sake_leads_to_the_cluster(
    signed_in: Client, world: World
) -> None:
    failure = {
        "reason": "ClusterElsewhere",
        "message": "cache-1: cache-1 (abroad / cache) is of its cluster in another environment.",
        "next_step": "Take these or those out of the cluster first.",
        "node": "cache-1",
        "step": "plan",
    }
    run = world.run(world.group("shop", "cache"), Run.State.REFUSED, failure=failure)
    page = signed_in.get(run.get_absolute_url()).content.decode()
    assert 'href="/environments/shop/cache/topology/">Topology of the group' in page
