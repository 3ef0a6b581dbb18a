"""What pages say of renewals, of what ends, and of the windows in which work begins."""

from datetime import datetime, time, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from addons.models import Authority, Certificate, Installation, Run, RunNode
from addons.pki.policy import renewal_due
from addons.renewal.endings import endings_tick
from instances.audit import Actor
from instances.models import AuditEvent, Environment, Node, NodeGroup
from instances.services import environment_remove, group_remove, window_add
from panel.pages.attention import Matter, attention
from tests.pages.world import SPEC, VERIFIED, World

DAY = timedelta(days=1)
CARD = "/environments/shop/cache/addons/"


@pytest.fixture
def cache(world: World) -> NodeGroup:
    """Two nodes with encryption, whose certificates have just been issued for a year."""
    group = world.group("shop", "cache")
    world.installed(group, VERIFIED, VERIFIED)
    world.authority(group.environment)
    age(group, 0)
    return group


def age(group: NodeGroup, days: float) -> None:
    """Give the nodes certificates for a year, issued so many days ago."""
    Certificate.objects.filter(node__group=group).delete()
    authority = Authority.objects.first()
    assert authority
    issued = timezone.now() - days * DAY
    for node in group.nodes.order_by("name"):
        world_certificate(authority, node, issued)


def world_certificate(authority: Authority, node: Node, issued: datetime) -> None:
    ends = issued + 365 * DAY
    number = node.pk
    Certificate.objects.create(
        authority=authority,
        node=node,
        purpose="server",
        state=Certificate.State.SERVING,
        serial=f"{number:040x}",
        subject=f"CN={node.name}",
        fingerprint=f"{number:095}",
        not_before=issued,
        not_after=ends,
        renew_at=renewal_due(issued, ends),
    )


def set_renewal(value: str) -> None:
    Installation.objects.update(spec=SPEC | {"renew": value})


def failed(world: World, group: NodeGroup, state: Run.State, *nodes: str) -> Run:
    """Let the panel's own renewal of a group fail on some nodes."""
    failure = {"node": nodes[0], "reason": "No", "message": f"{nodes[0]}: no route to host"}
    run = world.run(
        group,
        state,
        action="reissue",
        cause="A third of the certificates' life is left.",
        failure=failure,
        ended_at=timezone.now(),
    )
    RunNode.objects.filter(run=run, node__name__in=nodes).update(state=RunNode.State.FAILED)
    return run


def page(client: Client, address: str) -> str:
    return " ".join(client.get(address).content.decode().split())


def matters(*words: str) -> list[Matter]:
    """The lines of the dashboard that have all of the words."""
    endings_tick(timezone.now())
    lines = attention(timezone.now()).matters
    return [line for line in lines if all(word in line.what for word in words)]


def test_card_and_list_say_when_it_is_renewed_by_itself(
    signed_in: Client, cache: NodeGroup
) -> None:
    due = Certificate.objects.order_by("renew_at")[0].renew_at
    for address in (CARD, "/certificates/"):
        text = page(signed_in, address)
        assert "Renews by itself about <time" in text
        assert f"{timezone.localtime(due):%-d %b %Y}</time>" in text


def test_card_and_list_say_that_renewal_is_off(signed_in: Client, cache: NodeGroup) -> None:
    set_renewal("off")
    for address in (CARD, "/certificates/"):
        text = page(signed_in, address)
        assert "Renewal is off" in text
        assert "by itself about" not in text


def test_card_and_list_say_that_it_failed_and_when_it_is_tried_again(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    age(cache, 250)
    failed(world, cache, Run.State.REFUSED, "cache-2")
    for address in (CARD, "/certificates/"):
        text = page(signed_in, address)
        assert "Renewal failed, next try about</span> <time" in text
        assert "cache-2: no route to host" in text
        assert "Renews by itself about" in text, "the other node"


def test_a_failed_renewal_stays_in_need_while_others_went_on_without_that_node(
    world: World, cache: NodeGroup
) -> None:
    age(cache, 250)
    failed(world, cache, Run.State.REFUSED, "cache-2")
    others = world.run(cache, Run.State.SUCCEEDED, action="reissue")
    others.nodes.filter(node__name="cache-2").delete()
    [matter] = matters("was refused")
    assert "tries again by itself" in matter.why
    set_renewal("off")
    [matter] = matters("was refused")
    assert "tries again by itself" not in matter.why
    set_renewal("auto")
    world.run(cache, Run.State.SUCCEEDED, action="reissue")
    assert matters("was refused") == []


@pytest.mark.parametrize(
    ("left", "word", "kind"),
    [
        (29, "Within 30 days", "wait"),
        (13, "Within 14 days", "wait"),
        (6, "Within 7 days", "bad"),
        (-1, "Expired", "bad"),
    ],
)
def test_what_ends_is_ever_graver_with_the_one_button_that_helps(
    world: World, cache: NodeGroup, left: int, word: str, kind: str
) -> None:
    set_renewal("off")
    age(cache, 365 - left)
    client = world.client_certificate(cache.environment, "billing").certificate
    Certificate.objects.filter(pk=client.pk).update(
        not_before=timezone.now() + (left - 365) * DAY,
        not_after=timezone.now() + left * DAY,
        renew_at=timezone.now() - 60 * DAY,
    )
    [nodes] = matters("2 nodes in shop / cache")
    assert (nodes.shown.word, nodes.shown.kind) == (word, kind)
    assert (nodes.button, nodes.post) == ("Re-issue", True)
    assert nodes.url == "/environments/shop/cache/addons/encryption/-/reissue/"
    assert "Renewal is off." in nodes.why
    [billing] = matters("client certificate of billing")
    assert (billing.shown.word, billing.shown.kind, billing.button) == (word, kind, "Re-issue")
    assert billing.url == f"/environments/shop/-/certificates/issue/?of={client.pk}"


def test_an_authority_that_ends_speaks_for_what_ends_with_it(
    world: World, cache: NodeGroup
) -> None:
    ends = timezone.now() + 10 * DAY
    Authority.objects.update(not_after=ends, not_before=ends - 3650 * DAY)
    age(cache, 355)
    Certificate.objects.update(not_after=ends)
    [authority] = matters("authority")
    assert authority.shown.word == "Within 14 days"
    assert "ends no later than it does" in authority.why
    assert matters("nodes in shop / cache") == []


def test_the_form_begins_with_what_is_issued_again_and_takes_its_place(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    former = world.client_certificate(
        cache.environment, "billing", lifetime_days=90, form="pem"
    ).certificate
    issue = "/environments/shop/-/certificates/issue/"
    initial = signed_in.get(f"{issue}?of={former.pk}").context["form"].initial
    assert initial["holder"] == "billing"
    assert (initial["lifetime_days"], initial["form"]) == ("90", "pem")
    assert signed_in.get(f"{issue}?of=999999").status_code == 404
    sent = {name: value for name, value in initial.items() if name != "once"}
    assert signed_in.post(issue, sent).status_code == 200
    former.refresh_from_db()
    assert former.state == Certificate.State.REPLACED
    shown = signed_in.get("/certificates/clients/?sort=newest").context["lines"]
    assert [line.shown.word for line in shown] == ["In force", "Issued again"]


def test_clients_are_on_the_timeline_with_links_to_what_is_counted(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    for days in (5, 12, 25, 200):
        world.client_certificate(cache.environment, f"app-{days}", lifetime_days=days)
    shown = signed_in.get("/certificates/").context["expiry"]
    assert shown.clients == 4
    for near in shown.near:
        found = signed_in.get(f"/certificates/clients/?ends={near.value}").context["page"]
        assert found.paginator.count == near.clients, near
    for month in shown.months:
        found = signed_in.get(f"/certificates/clients/?ends={month.value}").context["page"]
        assert found.paginator.count == month.clients, month


def test_a_renewal_says_on_its_page_why_the_panel_began_it(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    run = failed(world, cache, Run.State.PUT_BACK, "cache-1")
    assert "A third of the certificates&#x27; life is left." in page(
        signed_in, run.get_absolute_url()
    )
    report = signed_in.get(f"{run.get_absolute_url()}report.md").content.decode()
    assert "- Why: A third of the certificates' life is left." in report


def test_lists_take_no_more_queries_for_more_renewals(
    signed_in: Client, world: World, cache: NodeGroup
) -> None:
    age(cache, 250)
    before = [count(signed_in, address) for address in ("/certificates/", CARD)]
    for number in range(3):
        other = world.group(f"other-{number}", "queue", nodes=3)
        world.installed(other, *[VERIFIED] * 3)
        age(other, 250)
        failed(world, other, Run.State.REFUSED, "queue-1")
    failed(world, cache, Run.State.REFUSED, "cache-1")
    assert [count(signed_in, address) for address in ("/certificates/", CARD)] == before


def count(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
    return len(queries)


WINDOWS = "/environments/shop/-/windows/"


def test_a_window_is_added_shown_and_taken_away(signed_in: Client, cache: NodeGroup) -> None:
    assert "None is set" in page(signed_in, WINDOWS)
    typed = {"weekdays": ["5", "6"], "start": "02:00", "hours": "3", "zone": "Europe/Berlin"}
    signed_in.post(WINDOWS, typed)
    window = cache.environment.windows.get()
    assert (window.weekdays, window.hours, window.zone) == ([5, 6], 3, "Europe/Berlin")
    text = page(signed_in, WINDOWS)
    assert "Saturday and Sunday</span>" in text
    for address in (CARD, "/certificates/"):
        where = "in the window on Saturday and Sunday 02:00 Europe/Berlin"
        assert where in page(signed_in, address)
    signed_in.post(f"{WINDOWS}{window.pk}/remove/")
    assert not cache.environment.windows.exists()
    verbs = AuditEvent.objects.filter(verb__startswith="window.").order_by("pk")
    assert [each.verb for each in verbs] == ["window.add", "window.remove"]
    assert verbs[0].actor_name == "ada"


@pytest.mark.parametrize(
    ("field", "value"),
    [("weekdays", ""), ("start", "25:00"), ("hours", "25"), ("hours", "0"), ("zone", "Mars/Base")],
)
def test_what_is_wrong_with_a_window_is_said_at_its_field(
    signed_in: Client, cache: NodeGroup, field: str, value: str
) -> None:
    typed: dict[str, object] = {"weekdays": ["6"], "start": "02:00", "hours": "3", "zone": "UTC"}
    typed[field] = value
    form = signed_in.post(WINDOWS, typed).context["form"]
    assert list(form.errors) == [field]
    assert not cache.environment.windows.exists()


def test_a_certificate_that_would_end_before_the_window_is_said_to_be_renewed_outside(
    signed_in: Client, cache: NodeGroup
) -> None:
    age(cache, 363)
    opened = timezone.now() - 1 * DAY
    window_add(
        actor=Actor(None, "ada", "test"),
        environment=cache.environment,
        weekdays=[opened.weekday()],
        start=opened.time(),
        hours=1,
        zone="UTC",
    )
    for address in (CARD, "/certificates/"):
        assert "outside the maintenance windows: it would end before" in page(signed_in, address)


def test_an_environment_with_windows_can_be_removed(world: World) -> None:
    group = world.group("idle", "cache", nodes=0)
    window_add(
        actor=world.actor,
        environment=group.environment,
        weekdays=[6],
        start=time(2),
        hours=1,
        zone="UTC",
    )
    environment = group.environment
    group_remove(actor=world.actor, group=group)
    environment_remove(actor=world.actor, environment=environment)
    assert not Environment.objects.filter(name="idle").exists()
