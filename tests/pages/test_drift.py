"""Drift on the pages: the difference, and the buttons that help."""

import pytest
from django.test import Client
from django.utils import timezone

from addons.models import MachineLock, NodeInstallation, Run
from addons.watch import services
from addons.watch.schedule import OperationalError
from instances.models import AuditEvent, Node, NodeGroup
from tests.pages.world import VERIFIED, World

CARD = "/environments/shop/cache/addons/"
VERIFY = "/environments/shop/cache/addons/encryption/-/verify/"


@pytest.fixture
def cache(world: World) -> NodeGroup:
    group = world.group("shop", "cache")
    world.drifted(world.installed(group, VERIFIED, VERIFIED))
    return group


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect what workers are told to look at; there is none."""
    asked: list[int] = []
    monkeypatch.setattr(services, "observe_ask", lambda rows, now: asked.extend(rows))
    return asked


def text_of(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_the_card_shows_what_differs_and_how_to_mend_it(
    signed_in: Client, cache: NodeGroup
) -> None:
    page = text_of(signed_in, CARD)
    assert "What differs on cache-1" in page
    assert "What differs on cache-2" not in page
    assert '<span class="del">-tls-port 6390</span>' in page
    assert '<span class="add">+tls-port 6380</span>' in page
    assert "Accept tls_port=6390" in page
    assert "On, 1 node not as wanted" in page
    assert page.count("Repair…") == 1


def test_the_node_shows_it_too(signed_in: Client, cache: NodeGroup) -> None:
    first, second = cache.nodes.order_by("name")
    assert "What differs on cache-1" in text_of(signed_in, f"/nodes/{first.pk}/")
    assert "What differs" not in text_of(signed_in, f"/nodes/{second.pk}/")
    assert f"/nodes/{second.pk}/verify/" in text_of(signed_in, f"/nodes/{second.pk}/")


def test_the_dashboard_names_it_with_its_button(signed_in: Client, cache: NodeGroup) -> None:
    matters = signed_in.get("/").context["attention"].matters
    [matter] = [each for each in matters if each.button == "Repair"]
    assert (matter.what, matter.shown.word) == ("cache-1 in shop / cache has drifted", "Drift")
    response = signed_in.post(matter.url)
    run = Run.objects.get()
    assert response["Location"] == run.get_absolute_url()
    assert (run.action, run.state, run.spec["tls_port"]) == ("install", "previewing", 6380)


def test_accepting_asks_for_a_preview_in_which_that_is_wanted(
    signed_in: Client, cache: NodeGroup
) -> None:
    first, second = cache.nodes.order_by("name")
    accept = "/environments/shop/cache/addons/encryption/-/accept/{}/"
    signed_in.post(accept.format(first.pk))
    assert Run.objects.get().spec["tls_port"] == 6390
    response = signed_in.post(accept.format(second.pk), follow=True)
    assert "Nothing was found there that a setting could express." in response.content.decode()
    assert Run.objects.count() == 1


def test_what_no_setting_can_express_is_not_offered(signed_in: Client, cache: NodeGroup) -> None:
    row = NodeInstallation.objects.exclude(drift=[]).get()
    row.drift[0]["step"] = "firewall"
    row.save()
    page = text_of(signed_in, CARD)
    assert "Repair…" in page
    assert "Accept" not in page


def test_verify_now_has_all_nodes_looked_at_and_the_page_waits(
    signed_in: Client, cache: NodeGroup, observed: list[int]
) -> None:
    response = signed_in.post(VERIFY)
    assert len(observed) == 2
    assert AuditEvent.objects.filter(verb="installation.verify", actor_name="ada").exists()
    address = response["Location"]
    assert address.startswith(f"{CARD}?asked=")
    assert "Verifying" in text_of(signed_in, address)
    assert signed_in.get(address, headers={"HX-Request": "true"}).status_code == 200
    Node.objects.update(looked_at=timezone.now())
    fragment = signed_in.get(address, headers={"HX-Request": "true"})
    assert fragment.status_code == 286
    assert b"Verifying" not in fragment.content
    assert b"<html" not in fragment.content


def test_one_node_is_verified_from_its_own_page(
    signed_in: Client, cache: NodeGroup, observed: list[int]
) -> None:
    node = cache.nodes.order_by("name")[0]
    response = signed_in.post(f"/nodes/{node.pk}/verify/")
    assert observed == [NodeInstallation.objects.get(node=node).pk]
    assert b"A worker looks at the machine" in signed_in.get(response["Location"]).content


def test_nobody_else_looks_while_a_run_has_the_machines(
    signed_in: Client, cache: NodeGroup, observed: list[int], world: World
) -> None:
    run = world.run(cache, Run.State.RUNNING)
    for node in cache.nodes.all():
        MachineLock.objects.create(machine=node.machine, run=run)
    page = signed_in.post(VERIFY, follow=True).content.decode()
    assert f"Run {run.pk} has the machines of shop / cache" in page
    assert not observed


def test_without_a_broker_the_person_is_told(
    signed_in: Client, cache: NodeGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(rows: object, now: object) -> None:
        raise OperationalError

    monkeypatch.setattr(services, "observe_ask", lost)
    assert b"the broker does not answer" in signed_in.post(VERIFY, follow=True).content


def test_who_is_not_signed_in_asks_for_nothing(
    eve: Client, cache: NodeGroup, observed: list[int]
) -> None:
    node = cache.nodes.all()[0]
    for address in (VERIFY, f"/nodes/{node.pk}/verify/"):
        assert eve.post(address)["Location"].startswith("/account/login/")
    assert not observed


def test_a_group_without_the_add_on_has_nothing_to_verify(
    signed_in: Client, world: World, observed: list[int]
) -> None:
    world.group("shop", "queue")
    address = VERIFY.replace("cache", "queue")
    assert b"is not installed on shop / queue" in signed_in.post(address, follow=True).content
    assert not observed
