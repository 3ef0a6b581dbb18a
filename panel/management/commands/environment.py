"""``manage.py environment add|list|archive|window``."""

from argparse import Namespace
from datetime import datetime, time

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from addons.archiving import place_archive
from instances.errors import NotFound
from instances.models import Environment
from instances.reason import Reason
from instances.selectors import environment_named
from instances.services import environment_create, window_add, window_remove
from instances.windows import DAYS
from panel.management.terminal import NounCommand, Verbs, table, terminal_actor
from panel.pages.renewal import window_words
from panel.pages.windows import WindowLine, window_lines


class Command(NounCommand):
    """Environments: servers that belong together."""

    help = "Make environments, list and archive them, set their maintenance windows."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare add, list, archive and window."""
        add = verbs.add("add", self._add, "make an environment")
        add.add_argument("name")
        add.add_argument("--region", default="", help="a label, such as eu-west")
        verbs.add("list", self._list, "list environments").add_argument(
            "--json", action="store_true"
        )
        verbs.add(
            "archive", self._archive, "take one out of every list and keep its record"
        ).add_argument("name")
        windows = verbs.nest("window", "when what nobody asked for, such as renewals, may begin")
        opened = windows.add("add", self._window_add, "add a window, which opens each week")
        opened.add_argument("environment")
        opened.add_argument(
            "--days", type=_days, required=True, metavar="sat,sun", help="or `daily`"
        )
        opened.add_argument("--start", type=_start, required=True, metavar="02:00")
        opened.add_argument("--hours", type=int, default=4, help="how long it is open, 1 to 24")
        opened.add_argument("--zone", default=settings.TIME_ZONE, help="such as Europe/Berlin")
        listed = windows.add("list", self._window_list, "list the windows of an environment")
        listed.add_argument("environment")
        listed.add_argument("--json", action="store_true")
        gone = windows.add("remove", self._window_remove, "take a window away")
        gone.add_argument("environment")
        gone.add_argument("number", type=int, help="as listed")

    def _window_add(self, options: Namespace) -> None:
        made = window_add(
            actor=terminal_actor(),
            environment=environment_named(options.environment),
            weekdays=options.days,
            start=options.start,
            hours=options.hours,
            zone=options.zone,
        )
        self.stdout.write(f"Window {made.pk} opens {window_words(made.window)}.")

    def _window_list(self, options: Namespace) -> None:
        found = environment_named(options.environment)
        rows = [_window_row(line) for line in window_lines(found.windows.all(), timezone.now())]
        if options.json:
            self.print_json(rows)
        elif not rows:
            self.stdout.write(f"{found} has no windows: renewals begin at any time.")
        else:
            lines = [tuple(str(value) for value in row.values()) for row in rows]
            self.console.print(table(*map(str.upper, rows[0]), rows=lines))

    def _window_remove(self, options: Namespace) -> None:
        found = environment_named(options.environment)
        window = found.windows.filter(pk=options.number).first()
        if window is None:
            raise NotFound(
                Reason(
                    "NoWindow",
                    f"{found} has no window {options.number}.",
                    f"See `manage.py environment window list {found}`.",
                )
            )
        window_remove(actor=terminal_actor(), window=window)
        self.stdout.write(f"Window {options.number} of {found} is taken away.")

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


def _days(text: str) -> list[int]:
    if text == "daily":
        return list(range(len(DAYS)))
    short = [day[:3].lower() for day in DAYS]
    return [short.index(word.strip()[:3].lower()) for word in text.split(",")]


def _start(text: str) -> time:
    return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 -- the window has the zone


# argparse names the types by these in its messages.
_days.__name__, _start.__name__ = "list of days", "time"


def _window_row(line: WindowLine) -> dict[str, object]:
    return {
        "number": line.window.pk,
        "days": line.days,
        "start": f"{line.window.start:%H:%M}",
        "hours": line.window.hours,
        "zone": line.window.zone,
        "opens": line.next.isoformat(timespec="seconds"),
    }
