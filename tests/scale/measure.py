"""Asks for each page of a small and of a large fleet in turn, in one process.

Run as ``python -m tests.scale.measure`` with the two databases in the environment; prints JSON: by
page, the most queries that either fleet's takes, and the median seconds and the rows of each.

What is compared is the fleet's size, not a page's: where a filter finds a page full of ten thousand
nodes and two of a hundred, the small fleet's part is played by its full list without that filter.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import django

ROUNDS = 9
RATIO = float(os.environ.get("SCALE_RATIO", "1.5"))
TRIES = int(os.environ.get("SCALE_TRIES", "1"))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.scale.settings")
    django.setup()
    small, large = addresses("default"), addresses("large")
    pages = {name: measured(small[FULL.get(name, name)], large[name]) for name in large}
    json.dump({"nodes": _nodes(), "pages": pages}, sys.stdout)


def measured(small: str, large: str) -> dict[str, Any]:
    """Measure a page; anew where it seems too slow, for the machine may have been busy."""
    for _ in range(TRIES):
        page = measure(small, large)
        if page["large"] <= RATIO * page["small"]:
            break
    return page


def _nodes() -> list[int]:
    from instances.models import Node

    return [Node.objects.using(name).count() for name in ("default", "large")]


def addresses(name: str) -> dict[str, str]:
    """Return the address of each page in a fleet; of its largest group, and of a usual one."""
    from django.db.models import Count

    from addons.models import Run
    from instances.models import NodeGroup
    from tests.scale.aside import fleet

    with fleet(name):
        groups = NodeGroup.objects.annotate(size=Count("nodes")).select_related("environment")
        largest = groups.order_by("-size").first()
        usual = groups.filter(size__gt=1, installations__generation__gt=0).order_by("size", "pk")[1]
        node = usual.nodes.order_by("pk").first()
        run = Run.objects.filter(installation__group=usual, state="succeeded").first()
        assert largest
        assert node
        assert run
        in_group = {
            f"{kind} group, {tab}": f"{group.get_absolute_url()}{path}"
            for kind, group in (("largest", largest), ("usual", usual))
            for tab, path in (
                ("nodes", ""),
                ("add-ons", "addons/"),
                ("connect", "connect/"),
                ("plaintext", "plaintext/"),
                ("runs", "runs/"),
            )
        }
        return (
            in_group
            | PAGES
            | {
                "usual group, topology": f"{usual.get_absolute_url()}topology/",
                "largest group, filtered": f"{largest.get_absolute_url()}?state=reachable",
                "environment": usual.environment.get_absolute_url(),
                "environment with the largest group": largest.environment.get_absolute_url(),
                "node": f"/nodes/{node.pk}/",
                "run": run.get_absolute_url(),
                "nodes of an environment": f"/nodes/?environment={usual.environment.name}",
                "runs of an environment": f"/runs/?environment={usual.environment.name}",
                "search": f"/search/?q={largest.name}",
                "search words": f"/search/?q=eu+{largest.name}",
                "search a node": f"/search/?q={node.name}",
                "search an address": f"/search/?q={node.client_addresses[0]}",
            }
        )


PAGES = {
    "dashboard": "/",
    "environments": "/environments/",
    "environments, page 2": "/environments/?page=2",
    "environments by region": "/environments/?sort=-region",
    "environments with words": "/environments/?q=eu+production",
    "nodes": "/nodes/",
    "nodes, page 2": "/nodes/?page=2",
    "nodes by server": "/nodes/?sort=-server",
    "nodes by age": "/nodes/?sort=seen",
    "nodes of a version": "/nodes/?server=redis+7.0.15",
    "nodes of a system": "/nodes/?system=Debian+GNU%2FLinux+12+%28bookworm%29",
    "nodes reachable": "/nodes/?state=reachable",
    "nodes with a fault": "/nodes/?state=faulty",
    "nodes not as wanted": "/nodes/?encryption=bad",
    "nodes verified": "/nodes/?encryption=verified",
    "nodes without encryption": "/nodes/?encryption=none",
    "nodes of a group": "/nodes/?group=cache",
    "nodes with words": "/nodes/?q=cache-1",
    "runs": "/runs/",
    "runs succeeded": "/runs/?state=succeeded",
    "audit log": "/audit/",
    "audit log of a person": "/audit/?actor=ada",
    "audit log of nodes": "/audit/?verb=node.",
    "audit log with words": "/audit/?q=cache",
    "search nothing": "/search/?q=nowhere-to-be-found",
    "search a fingerprint": "/search/?q=AB%3ACD%3AEF",
    "keys": "/keys/",
}


FULL = {
    "nodes with a fault": "nodes",
    "nodes not as wanted": "nodes",
    "nodes without encryption": "nodes",
    "nodes of a version": "nodes",
    "nodes of a system": "nodes",
    "nodes of a group": "nodes",
    "nodes with words": "nodes",
    "largest group, nodes": "nodes",
    "largest group, filtered": "nodes",
    "nodes of an environment": "largest group, nodes",
    "search a node": "search words",
    "audit log with words": "audit log",
    "audit log of a person": "audit log",
    "environment": "environment with the largest group",
}
"""Which page of the small fleet is as full as this one of the large fleet."""


def measure(small: str, large: str) -> dict[str, Any]:
    """Ask both fleets in turn, once to warm up, and count queries and rows on the way."""
    ask = {"default": _asker("default", small), "large": _asker("large", large)}
    rows = {name: each() for name, each in ask.items()}
    queries = {name: _queries(name, ask[name]) for name in ask}
    took: dict[str, list[float]] = {name: [] for name in ask}
    for _ in range(ROUNDS):
        for name, each in ask.items():
            began = time.perf_counter()
            each()
            took[name].append(time.perf_counter() - began)
    return {
        "queries": max(queries.values()),
        "rows": rows,
        "small": median(took["default"]),
        "large": median(took["large"]),
    }


def _asker(name: str, address: str) -> Callable[[], int]:
    """Return what asks for a page and says how many rows it has."""
    from django.test import Client

    from panel.models import User
    from tests.scale.aside import fleet

    # Without the instruments of a test environment, which copy the context of every template.
    client = Client(SERVER_NAME="localhost")
    with fleet(name):
        client.force_login(User.objects.get(username="ada"))

    def ask() -> int:
        with fleet(name):
            response = client.get(address)
            assert response.status_code == 200, address
            return sum(response.content.count(tag) for tag in (b"<tr>", b"list-group-item "))

    return ask


def _queries(name: str, ask: Callable[[], int]) -> int:
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connections[name]) as queries:
        ask()
    return len(queries)


if __name__ == "__main__":
    main()
