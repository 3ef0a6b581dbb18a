"""``manage.py seed``: fill an empty panel with a made-up fleet."""

from argparse import Namespace
from random import Random
from typing import Any

from django.core.management.base import CommandParser
from django.db import connection
from django.utils import timezone

from panel.management.terminal import (
    PanelCommand,
    UsageError,
    confirm,
    interactive,
    terminal_actor,
)
from panel.seeding.fleet import fleet_seed
from panel.setup import require_ready

_SEED = 42


class Command(PanelCommand):
    """Make up environments and nodes, to see and to measure the panel with."""

    help = (
        "Fill an empty panel with made-up environments and nodes: to see it, and to measure it. "
        "None of them exists; their names and addresses are reserved for examples."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--environments", type=int, default=50, metavar="N")
        parser.add_argument("--nodes", type=int, default=500, metavar="N")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Seed."""
        self.run_act(self._seed, Namespace(**options))

    def _seed(self, options: Namespace) -> None:
        if options.environments < 1 or options.nodes < 0:
            raise UsageError("One environment at least, and no negative number of nodes.")
        require_ready()
        self._ask(options)
        fleet_seed(
            actor=terminal_actor(),
            environments=options.environments,
            nodes=options.nodes,
            now=timezone.now(),
            chance=Random(_SEED),  # noqa: S311 -- the same fleet every time is what is wanted
        )
        self.stdout.write(f"{options.environments} environments, {options.nodes} nodes.")
        self.stdout.write(
            "Start this panel with REDOUBT_OBSERVE_MINUTES=0, or workers look for those nodes."
        )

    def _ask(self, options: Namespace) -> None:
        if options.yes:
            return
        if not interactive():
            raise UsageError("Nobody can be asked here: say --yes.")
        name = connection.settings_dict["NAME"]
        if not confirm(f"Put {options.nodes} made-up nodes into {name}?"):
            raise UsageError("Nothing was done.")
