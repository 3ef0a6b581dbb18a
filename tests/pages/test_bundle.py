"""Several groups by one click: previewed together, confirmed once, watched on one page."""

from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from addons.models import Run, RunNode
from addons.runs.bundles import runs_confirm, runs_stop
from instances.errors import Conflict
from instances.models import AuditEvent
from tests.pages.html import read
from tests.pages.world import BUNDLE, World

HTMX = {"HX-Request": "true"}
PAGE = f"/runs/together/{BUNDLE}/"
FAILURE = {
    "node": "queue-1",
    "step": "inspect",
    "reason": "PortTaken",
    "message": "queue-1: port 6380 is in use by nginx.",
    "next_step": "Choose another tls_port.",
}


def together(world: World, *states: Run.State) -> list[Run]:
    """Make one run a group, named a, b, c.. in the order of the states."""
    runs = []
    for name, state in zip("abcde", states, strict=False):
        bad = state in {Run.State.REFUSED, Run.State.PUT_BACK, Run.State.STUCK}
        begun = state in {*Run.ACTIVE, Run.State.SUCCEEDED, Run.State.PUT_BACK, Run.State.STUCK}
        runs.append(
            world.run(
                world.group("shop", name),
                state,
                bundle=BUNDLE,
                failure=FAILURE if bad else {},
                started_at=timezone.now() if begun else None,
            )
        )
    return runs


def states() -> list[str]:
    return list(Run.objects.order_by("pk").values_list("state", flat=True))


def test_previews_are_shown_together_each_group_and_node_with_its_difference(
    signed_in: Client, world: World
) -> None:
    together(world, Run.State.PREVIEWED, Run.State.PREVIEWED)
    response = signed_in.get(PAGE)
    text = response.content.decode()
    for name in ("shop / a", "shop / b", "a-1", "a-2", "b-1", "b-2"):
        assert name in text
    assert text.count('<span class="add">+tls-port 6380</span>') == 4
    assert "No restart, no interruption" in text
    assert "Install on 2 groups" in text
    ids = read(response.content).ids
    assert len(ids) == len(set(ids))


def test_while_a_preview_is_being_made_the_others_are_shown_and_nothing_can_be_confirmed(
    signed_in: Client, world: World
) -> None:
    together(world, Run.State.PREVIEWED, Run.State.PREVIEWING)
    text = signed_in.get(PAGE).content.decode()
    assert "1 of 2 looked at" in text
    assert "+tls-port 6380" in text
    assert "Install on" not in text.replace("Install on your", "")
    response = signed_in.post(f"{PAGE}confirm/", follow=True)
    assert b"Not every preview is ready yet." in response.content
    assert states() == [Run.State.PREVIEWED, Run.State.PREVIEWING]


def test_a_refused_group_is_left_out_and_the_others_start(signed_in: Client, world: World) -> None:
    together(world, Run.State.PREVIEWED, Run.State.REFUSED, Run.State.PREVIEWED)
    text = signed_in.get(PAGE).content.decode()
    assert "port 6380 is in use by nginx." in text
    assert "Choose another tls_port." in text
    assert "1 group left out." in text
    assert "Install on 2 groups" in text
    response = signed_in.post(f"{PAGE}confirm/", follow=True)
    assert "Left out, nothing is changed there: shop / b." in response.content.decode()
    assert states() == [Run.State.QUEUED, Run.State.REFUSED, Run.State.QUEUED]
    assert AuditEvent.objects.filter(verb="run.confirm", actor_name="ada").count() == 2


def test_where_every_group_is_refused_a_retry_is_all_that_is_offered(
    signed_in: Client, world: World
) -> None:
    together(world, Run.State.REFUSED, Run.State.REFUSED)
    text = signed_in.get(PAGE).content.decode()
    assert "Nothing was changed on any of them." in text
    assert "Retry on 2 groups" in text
    assert "/confirm/" not in text


def test_confirmed_twice_they_are_started_once(signed_in: Client, world: World) -> None:
    together(world, Run.State.PREVIEWED, Run.State.PREVIEWED)
    signed_in.post(f"{PAGE}confirm/")
    again = signed_in.post(f"{PAGE}confirm/", follow=True)
    assert b"None of these previews waits for a confirmation." in again.content
    assert AuditEvent.objects.filter(verb="run.confirm").count() == 2


def test_all_are_confirmed_or_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from addons.runs import bundles

    first, second = together(world, Run.State.PREVIEWED, Run.State.PREVIEWED)
    stale = bundles.runs_of_bundle(BUNDLE)
    Run.objects.filter(pk=second.pk).update(state=Run.State.DISCARDED)
    monkeypatch.setattr(bundles, "runs_of_bundle", lambda bundle: stale)
    with pytest.raises(Conflict):
        runs_confirm(actor=world.actor, bundle=BUNDLE)
    first.refresh_from_db()
    assert first.state == Run.State.PREVIEWED


def test_discarded_previews_say_that_nothing_was_changed(signed_in: Client, world: World) -> None:
    together(world, Run.State.PREVIEWED, Run.State.PREVIEWING, Run.State.REFUSED)
    response = signed_in.post(f"{PAGE}discard/", follow=True)
    assert b"The previews are discarded. Nothing was changed." in response.content
    assert states() == [Run.State.DISCARDED, Run.State.DISCARDED, Run.State.REFUSED]
    again = signed_in.post(f"{PAGE}discard/", follow=True)
    assert b"None of these runs is still to begin." in again.content


def running(world: World) -> list[Run]:
    one, two = together(world, Run.State.RUNNING, Run.State.QUEUED)
    node = one.nodes.select_related("node")[0].node
    world.record(one, node, "certificate", "before")
    world.record(one, node, "certificate", "applied", "certificate is done")
    one.nodes.filter(node=node).update(state=RunNode.State.DONE, started_at=one.started_at)
    return [one, two]


def test_all_runs_are_watched_on_one_page_by_nodes_and_steps(
    signed_in: Client, world: World
) -> None:
    running(world)
    response = signed_in.get(PAGE)
    page = response.context["page"]
    assert [each.run.installation.group.name for each in page.begun] == ["a", "b"]
    text = response.content.decode()
    assert "0 of 2 groups, 1 of 4 nodes done" in text
    assert "certificate is done" in text
    assert text.count("steps-grid") == 2
    assert "Stop and put back" in text


@pytest.mark.usefixtures("clock_stands_still")
def test_a_reload_a_second_viewer_and_a_poll_see_the_same(signed_in: Client, world: World) -> None:
    running(world)
    page = signed_in.get(PAGE)
    poll = signed_in.get(PAGE, headers=HTMX)
    assert poll.status_code == 200
    assert poll.content.decode().split("</title>")[1].strip() in page.content.decode()


def test_a_poll_without_news_gets_nothing(signed_in: Client, world: World) -> None:
    one, _ = running(world)
    version = signed_in.get(PAGE).context["page"].version
    assert signed_in.get(f"{PAGE}?seen={version}", headers=HTMX).status_code == 204
    world.record(one, one.nodes.all()[1].node, "certificate", "applied", "news")
    assert b"news" in signed_in.get(f"{PAGE}?seen={version}", headers=HTMX).content


def test_polling_stops_when_all_have_ended(signed_in: Client, world: World) -> None:
    together(world, Run.State.SUCCEEDED, Run.State.PUT_BACK)
    response = signed_in.get(f"{PAGE}?seen=x", headers=HTMX)
    assert response.status_code == 286
    assert b"hx-trigger" not in response.content


def test_stop_ends_what_runs_drops_what_waits_and_leaves_what_is_done(
    signed_in: Client, world: World
) -> None:
    done, runs, _waits = together(world, Run.State.SUCCEEDED, Run.State.RUNNING, Run.State.QUEUED)
    text = signed_in.post(f"{PAGE}stop/", follow=True).content.decode()
    assert states() == [Run.State.SUCCEEDED, Run.State.RUNNING, Run.State.DISCARDED]
    runs.refresh_from_db()
    done.refresh_from_db()
    assert runs.stop_requested
    assert not done.stop_requested
    assert "Stopping" in text


def test_a_run_that_ends_meanwhile_does_not_keep_the_others_from_being_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from addons.runs import bundles

    first, second = together(world, Run.State.RUNNING, Run.State.RUNNING)
    stale = bundles.runs_of_bundle(BUNDLE)
    Run.objects.filter(pk=first.pk).update(state=Run.State.SUCCEEDED)
    monkeypatch.setattr(bundles, "runs_of_bundle", lambda bundle: stale)
    assert runs_stop(actor=world.actor, bundle=BUNDLE) == [second]
    second.refresh_from_db()
    assert second.stop_requested


def test_what_is_over_cannot_be_stopped(signed_in: Client, world: World) -> None:
    together(world, Run.State.SUCCEEDED, Run.State.PUT_BACK)
    response = signed_in.post(f"{PAGE}stop/", follow=True)
    assert b"Nothing here is under way any more." in response.content


@pytest.mark.parametrize(
    ("ends", "word", "kind"),
    [
        ((Run.State.SUCCEEDED, Run.State.SUCCEEDED), "Done", "ok"),
        ((Run.State.SUCCEEDED, Run.State.REFUSED), "Done, some left out", "wait"),
        ((Run.State.SUCCEEDED, Run.State.PUT_BACK), "Done on 1 of 2 groups", "bad"),
        ((Run.State.RUNNING, Run.State.STUCK), "Installing", "run"),
        ((Run.State.PREVIEWED, Run.State.PREVIEWED), "Waiting for confirmation", "wait"),
        ((Run.State.DISCARDED, Run.State.DISCARDED), "Discarded", "unknown"),
    ],
)
def test_the_whole_is_green_only_where_every_group_is_done(
    ends: tuple[Run.State, ...], word: str, kind: str, signed_in: Client, world: World
) -> None:
    together(world, *ends)
    shown = signed_in.get(PAGE).context["page"].shown
    assert (shown.word, shown.kind) == (word, kind)


def test_the_groups_that_failed_are_retried_together_by_new_previews(
    signed_in: Client, world: World
) -> None:
    together(world, Run.State.SUCCEEDED, Run.State.PUT_BACK, Run.State.REFUSED)
    assert b"Retry on 2 groups" in signed_in.get(PAGE).content
    response = signed_in.post(f"{PAGE}repeat/")
    again = Run.objects.filter(state=Run.State.PREVIEWING).select_related("installation__group")
    assert [run.installation.group.name for run in again.order_by("pk")] == ["b", "c"]
    [bundle] = {run.bundle for run in again}
    assert bundle != BUNDLE
    assert response["Location"] == f"/runs/together/{bundle}/"


def test_a_run_leads_to_the_others_of_its_click(signed_in: Client, world: World) -> None:
    for run in together(world, Run.State.PREVIEWED, Run.State.RUNNING):
        assert f'href="{PAGE}"' in signed_in.get(run.get_absolute_url()).content.decode()
    assert f'href="{PAGE}"' in signed_in.get("/runs/").content.decode()


def test_a_bundle_that_does_not_exist_is_not_found(signed_in: Client) -> None:
    assert signed_in.get(f"/runs/together/{uuid4()}/").status_code == 404
