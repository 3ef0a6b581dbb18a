"""``manage.py environment add|list``."""

from argparse import Namespace

from django.db.models import Count

from instances.models import Environment
from instances.services import environment_create
from panel.management.terminal import NounCommand, Verbs, table, terminal_actor


class Command(NounCommand):
    """Environments: servers that belong together."""

    help = "Make environments and list them."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare add and list."""
        add = verbs.add("add", self._add, "make an environment")
        add.add_argument("name")
        add.add_argument("--region", default="", help="a label, such as eu-west")
        verbs.add("list", self._list, "list environments").add_argument(
            "--json", action="store_true"
        )

    def _add(self, options: Namespace) -> None:
        made = environment_create(actor=terminal_actor(), name=options.name, region=options.region)
        self.stdout.write(f"Environment {made} is there.")

    def _list(self, options: Namespace) -> None:
        counts = {
            "group_count": Count("groups", distinct=True),
            "node_count": Count("groups__nodes", distinct=True),
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
