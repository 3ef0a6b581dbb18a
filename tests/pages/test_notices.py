"""What happened elsewhere shows on whatever page a person is on, once."""

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from addons.engine.runner import Outcome
from addons.models import Run
from addons.runs.claim import run_claim
from addons.runs.drive import run_end
from instances.audit import PANEL, audit
from tests.pages.world import World


def ended(world: World, state: Run.State, group: str = "cache", **more: object) -> Run:
    """Have a run end as a worker would record it."""
    within = world.group("shop", group, nodes=1)
    run = world.run(within, state, **more)
    audit(PANEL, f"run.{state}", run)
    return run


def poll(client: Client, on: str = "/") -> HttpResponse:
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{on}"}
    return client.get("/notices/", headers=headers)  # type: ignore[return-value]


def test_who_has_just_come_is_not_told_of_the_past(signed_in: Client, world: World) -> None:
    ended(world, Run.State.SUCCEEDED)
    assert poll(signed_in).status_code == 204
    assert poll(signed_in).status_code == 204


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("succeeded", "It ended as wanted, and was verified."),
        ("put_back", "It failed and was put back."),
        ("refused", "It was refused, nothing was changed."),
        ("stuck", "It could not put everything back."),
        ("previewed", "Its preview waits for your confirmation."),
    ],
)
def test_what_a_run_came_to_is_told_once_with_a_link(
    state: str, says: str, signed_in: Client, world: World
) -> None:
    poll(signed_in)
    run = ended(world, Run.State(state))
    page = poll(signed_in).content.decode()
    assert says in page
    assert f'href="{run.get_absolute_url()}"' in page
    assert "shop / cache" in page
    assert 'aria-label="Close"' in page
    assert signed_in.get("/").status_code == 200
    assert poll(signed_in).status_code == 204


def test_the_page_of_the_run_needs_no_notice_of_it(signed_in: Client, world: World) -> None:
    poll(signed_in)
    run = ended(world, Run.State.SUCCEEDED)
    assert poll(signed_in, on=run.get_absolute_url()).status_code == 204
    assert poll(signed_in).status_code == 204


def test_what_has_moved_on_meanwhile_is_not_told(signed_in: Client, world: World) -> None:
    poll(signed_in)
    run = ended(world, Run.State.PREVIEWED)
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING)
    assert poll(signed_in).status_code == 204


def test_many_at_once_are_counted(signed_in: Client, world: World) -> None:
    poll(signed_in)
    for number in range(5):
        ended(world, Run.State.SUCCEEDED, group=f"g{number}")
    page = poll(signed_in).content.decode()
    assert page.count("Install encryption") == 3
    assert "and 2 more runs" in page


def test_asking_in_vain_costs_one_query_beside_those_of_the_session(
    signed_in: Client, world: World
) -> None:
    poll(signed_in)
    ended(world, Run.State.RUNNING)
    with CaptureQueriesContext(connection) as queries:
        assert poll(signed_in).status_code == 204
    assert len(queries) == 3


def test_after_the_session_the_asking_stops_and_the_page_stays(eve: Client) -> None:
    response = poll(eve)
    assert response.status_code == 286
    assert not response.content
    assert "HX-Refresh" not in response.headers


def test_a_worker_that_ends_a_preview_leaves_word_of_it(signed_in: Client, world: World) -> None:
    poll(signed_in)
    run = world.run(world.group("shop", "cache", nodes=1), Run.State.PREVIEWING)
    now = timezone.now()
    lease = run_claim(run=run.pk, holder="a-worker", now=now)
    assert lease
    run_end(run=run, lease=lease, outcome=Outcome.SUCCEEDED, now=now)
    assert "waits for your confirmation" in poll(signed_in).content.decode()


def test_every_page_asks_and_tells_screen_readers_politely(signed_in: Client, eve: Client) -> None:
    page = signed_in.get("/").content.decode()
    assert 'hx-get="/notices/"' in page
    assert 'aria-live="polite" hx-get' in page
    assert 'hx-get="/notices/"' not in eve.get("/", follow=True).content.decode()
