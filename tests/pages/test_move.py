"""Moving a node into another group of its environment."""

from django.test import Client

from addons.models import Run
from instances.models import AuditEvent, NodeGroup
from tests.pages.world import VERIFIED, World


def moved(signed_in: Client, group: NodeGroup, to: str) -> str:
    """What the page says once the first node of a group was asked to go."""
    node = group.nodes.order_by("name")[0]
    answer = signed_in.post(f"/nodes/{node.pk}/move/", {"group": to}, follow=True)
    return answer.content.decode()


def test_a_node_goes_to_another_group_and_the_log_says_so(signed_in: Client, world: World) -> None:
    cache, queue = (world.group("shop", name) for name in ("cache", "queue"))
    node = cache.nodes.get(name="cache-1")
    edit = signed_in.get(f"/nodes/{node.pk}/edit/").content.decode()
    assert f'href="/nodes/{node.pk}/move/"' in edit
    assert "cache-1 is in queue now." in moved(signed_in, cache, "queue")
    node.refresh_from_db()
    assert node.group == queue
    (event,) = AuditEvent.objects.filter(verb="node.move")
    assert event.detail == {"before": "shop / cache", "after": "shop / queue"}


def test_a_node_stays_while_an_add_on_is_on_or_a_run_is_under_way(
    signed_in: Client, world: World
) -> None:
    cache, queue = (world.group("shop", name) for name in ("cache", "queue"))
    world.group("shop", "spare", nodes=0)
    world.installed(cache, VERIFIED)
    assert "Uninstall it first." in moved(signed_in, cache, "spare")
    world.run(queue, Run.State.PREVIEWED)
    assert "Confirm or discard it." in moved(signed_in, queue, "spare")
    assert not AuditEvent.objects.filter(verb="node.move").exists()


def test_two_nodes_of_one_name_do_not_meet_in_a_group(signed_in: Client, world: World) -> None:
    cache, queue = (world.group("shop", name) for name in ("cache", "queue"))
    queue.nodes.filter(name="queue-1").update(name="cache-1")
    assert "queue has a node cache-1 already." in moved(signed_in, cache, "queue")


def test_only_groups_of_the_environment_are_offered(signed_in: Client, world: World) -> None:
    cache = world.group("shop", "cache")
    world.group("abroad", "cache")
    page = signed_in.get(f"/nodes/{cache.nodes.order_by('name')[0].pk}/move/").content.decode()
    assert "shop has no other node group yet." in page
    assert 'href="/environments/shop/-/add/"' in page
