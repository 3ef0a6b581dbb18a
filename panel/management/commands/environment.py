"""``manage.py environment add|list|archive``."""

from argparse import Namespace

from django.db.models import Count, Q
from django.utils import timezone

from addons.archiving import place_archive
from instances.models import Environment
from instances.selectors import environment_named
from instances.services import environment_create
from panel.management.terminal import NounCommand, Verbs, table, terminal_actor


class Command(NounCommand):
    """Environments: servers that belong together."""

    help = "Make environments, list and archive them."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare add, list and archive."""
        add = verbs.add("add", self._add, "make an environment")
        add.add_argument("name")
        add.add_argument("--region", default="", help="a label, such as eu-west")
        verbs.add("list", self._list, "list environments").add_argument(
            "--json", action="store_true"
        )
        verbs.add(
            "archive", self._archive, "take one out of every list and keep its record"
        ).add_argument("name")

    def _archive(self, options: Namespace) -> None:
        found = environment_named(options.name)
        place_archive(actor=terminal_actor(), place=found, now=timezone.now())
        self.stdout.write(f"Environment {found} is archived. A page restores it.")

    def _add(self, options: Namespace) -> None:
        made = environment_create(actor=terminal_actor(), name=options.name, region=options.region)
        self.stdout.write(f"Environment {made} is there.")

    def _list(self, options: Namespace) -> None:
        counts = {
            "group_count": Count("groups", Q(groups__archived_at=None), distinct=True),
            "node_count": Count("groups__nodes", Q(groups__nodes__archived_at=None), distinct=True),
        }
        rows = [
            {
                "name": row["name"],
                "region": row["region"],
                "groups": row["group_count"],
                "nodes": row["node_count"],
            }
            for row in Environment.objects.annotate(**counts).values("name", "region", *counts)
        ]
        if options.json:
            self.print_json(rows)
        else:
            lines = [tuple(str(value) for value in row.values()) for row in rows]
            self.console.print(table("NAME", "REGION", "GROUPS", "NODES", rows=lines))
