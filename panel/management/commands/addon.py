"""``manage.py addon plan|install|reissue|uninstall|status|verify|repair``."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rich.console import Console
from rich.text import Text

from addons.actions import INSTALL, REISSUE, UNINSTALL
from addons.catalogue import AddOn, addon_named
from addons.models import Installation, NodeInstallation, Run
from addons.runs.services import run_confirm, run_create, run_discard
from addons.watch.services import installation_on
from instances.models import NodeGroup
from instances.selectors import group_named
from panel.management.progress import Progress, Silence, summary
from panel.management.terminal import (
    FAILED,
    INTERRUPTED,
    OK,
    NounCommand,
    UsageError,
    Verbs,
    confirm,
    interactive,
    reason_of,
    require_worker,
    table,
    terminal_actor,
)
from panel.management.verifying import print_row, row_json, status_of, verified
from panel.management.waiting import run_follow

_LINES = {"add": ("+", "green"), "del": ("-", "red"), "hunk": ("@", "cyan")}


class Command(NounCommand):
    """Add-ons: what can be done to a group of nodes."""

    help = "Preview, install and uninstall add-ons, re-issue certificates, see how they stand."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare the verbs."""
        plan = _named(verbs.add("plan", self._plan, "show what an installation would change"))
        _settings(plan)
        other = plan.add_mutually_exclusive_group()
        for action, doing in ((UNINSTALL, "uninstalling"), (REISSUE, "re-issuing certificates")):
            says = f"what {doing} would change"
            other.add_argument(
                f"--{action}", dest="action", action="store_const", const=action, help=says
            )
        install = _named(verbs.add("install", self._install, "install on every node of a group"))
        _settings(install)
        _confirmed(install)
        says = "put new certificates in the place of the present ones"
        _confirmed(_named(verbs.add("reissue", self._reissue, says)))
        _confirmed(_named(verbs.add("uninstall", self._uninstall, "put the nodes back")))
        _named(verbs.add("status", self._status, "show what was last observed"))
        _named(verbs.add("verify", self._verify, "look at every node now, and show what differs"))
        _confirmed(_named(verbs.add("repair", self._repair, "make every node as wanted again")))

    def _plan(self, options: Namespace) -> int:
        require_worker()
        run = self._preview(options, options.action or INSTALL)
        if options.json:
            self.print_json(_plan_json(run))
        if run.state == Run.State.PREVIEWED:
            # Nobody is to find it later and think that somebody waits for it.
            run_discard(actor=terminal_actor(), run=run)
        return FAILED if run.failure else OK

    def _install(self, options: Namespace) -> int:
        return self._act(options, INSTALL)

    def _reissue(self, options: Namespace) -> int:
        return self._act(options, REISSUE)

    def _uninstall(self, options: Namespace) -> int:
        return self._act(options, UNINSTALL)

    def _act(self, options: Namespace, action: str) -> int:
        if not options.yes and (options.json or not interactive()):
            named = f"{options.environment} {options.group} {options.addon}"
            which = "" if action == INSTALL else f" --{action}"
            raise UsageError(
                f"Nobody can be asked here. Look at `manage.py addon plan {named}{which}`, "
                "then add --yes."
            )
        require_worker()
        if options.yes:
            run = self._create(options, action, confirmed=True)
        else:
            run = self._preview(options, action)
            if run.failure:
                return FAILED
            if not self._agreed(run):
                return FAILED
        return self._carry_out(run, options)

    def _agreed(self, run: Run) -> bool:
        """Ask, and start the run or drop it."""
        if confirm(f"{_addon(run).actions[run.action].title} on {run.installation.group}?"):
            run_confirm(actor=terminal_actor(), run=run)
            return True
        run_discard(actor=terminal_actor(), run=run)
        self.stderr.write("Nothing was changed.")
        return False

    def _create(self, options: Namespace, action: str, *, confirmed: bool) -> Run:
        return run_create(
            actor=terminal_actor(),
            group=group_named(options.environment, options.group),
            addon=options.addon,
            action=action,
            settings=dict(getattr(options, "set", [])),
            confirmed=confirmed,
        )

    def _preview(self, options: Namespace, action: str) -> Run:
        """Have a preview made and print it; return its run, previewed or refused."""
        made = self._create(options, action, confirmed=False)
        done = {*Run.ENDED, Run.State.PREVIEWED}
        silence = Silence(_errors())
        try:
            run = run_follow(made.pk, until=lambda now: now.state in done, watcher=silence)
        except KeyboardInterrupt:
            made.refresh_from_db()
            if made.state in {Run.State.PREVIEWING, Run.State.PREVIEWED}:
                run_discard(actor=terminal_actor(), run=made)
            raise
        if not options.json:
            self._print_preview(run)
        return run

    def _print_preview(self, run: Run) -> None:
        for row in run.nodes.select_related("node"):
            _print_node(self.console, row.node.name, row.preview)
        if run.failure:
            self._complain_of(run)

    def _carry_out(self, run: Run, options: Namespace) -> int:
        watcher = Silence(_errors()) if options.json else Progress(self.console, _errors())
        try:
            with watcher:
                run = run_follow(run.pk, until=lambda now: now.ended, watcher=watcher)
        except KeyboardInterrupt:
            self.stderr.write(
                f"Run {run.pk} goes on without this terminal. Follow it with `manage.py run show "
                f"{run.pk} --follow`; `manage.py run stop {run.pk}` stops it and puts back."
            )
            return INTERRUPTED
        rows = list(run.nodes.select_related("node"))
        if options.json:
            nodes = [{"name": row.node.name, "state": row.state} for row in rows]
            self.print_json(_json(run, nodes))
        else:
            self.console.print(summary(run, rows))
            if run.failure:
                self._complain_of(run)
        return OK if run.state == Run.State.SUCCEEDED else FAILED

    def _complain_of(self, run: Run) -> None:
        reason = reason_of(run.failure)
        self.complain(reason)
        if run.state == Run.State.STUCK:
            self.stderr.write(
                f"  Run {run.pk} is stuck: `manage.py run show {run.pk}` names what is left to "
                f"do, `run retry {run.pk}` tries again, `run resolve {run.pk}` says it is done."
            )

    def _verify(self, options: Namespace) -> int:
        group = group_named(options.environment, options.group)
        require_worker()
        asked = timezone.now()
        rows = verified(actor=terminal_actor(), group=group, addon=options.addon)
        if options.json:
            self.print_json({"nodes": [row_json(row) for row in rows]})
        else:
            for row in rows:
                print_row(self.console, row, asked)
        return status_of(rows, asked)

    def _repair(self, options: Namespace) -> int:
        """Install with the settings in force: what is as wanted already is left alone."""
        group = group_named(options.environment, options.group)
        installation_on(group=group, addon=options.addon)
        return self._act(options, INSTALL)

    def _status(self, options: Namespace) -> int:
        addon = addon_named(options.addon)
        group = group_named(options.environment, options.group)
        found = Installation.objects.filter(group=group, addon=addon.slug).first()
        rows = _status_rows(group, found)
        installed = found is not None and found.generation > 0
        if options.json:
            self.print_json(
                {
                    "environment": group.environment.name,
                    "group": group.name,
                    "addon": addon.slug,
                    "installed": installed,
                    "generation": found.generation if found else 0,
                    "spec": found.spec if found else {},
                    "nodes": rows,
                }
            )
        else:
            self._print_status(addon, group, rows, installed=installed)
        return OK if not installed or all(map(_well, rows)) else FAILED

    def _print_status(
        self, addon: AddOn, group: NodeGroup, rows: list[dict[str, Any]], *, installed: bool
    ) -> None:
        if not installed:
            self.stdout.write(f"{addon.title} is not installed on {group}.")
            return
        lines = [
            (
                row["name"],
                condition["type"],
                condition["status"],
                condition["message"],
                str(row["observed_at"] or "never"),
            )
            for row in rows
            for condition in row["conditions"] or [_UNKNOWN]
        ]
        self.console.print(table("NODE", "CONDITION", "STATUS", "MESSAGE", "OBSERVED", rows=lines))


_UNKNOWN = {"type": "", "status": "unknown", "message": "Not observed yet."}


def _named(parser: ArgumentParser) -> ArgumentParser:
    for name in ("environment", "group", "addon"):
        parser.add_argument(name)
    parser.add_argument("--json", action="store_true", help="print for programs")
    return parser


def _settings(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="KEY=VALUE", help="a setting"
    )


def _confirmed(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="start at once, without a preview")


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(text)
    return key, value


# argparse names the type by this in its message.
_setting.__name__ = "KEY=VALUE"


def _addon(run: Run) -> AddOn:
    return addon_named(run.installation.addon)


def _errors() -> Console:
    return Console(file=sys.stderr, highlight=False)


def _json(run: Run, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"run": run.pk, "state": run.state, "nodes": nodes, "failure": run.failure or None}


def _plan_json(run: Run) -> dict[str, Any]:
    return _json(
        run,
        [
            {
                "name": row.node.name,
                "changes": row.preview.get("changes", []),
                "warnings": row.preview.get("warnings", []),
                "digest": row.digest,
            }
            for row in run.nodes.select_related("node")
        ],
    )


def _print_node(console: Console, name: str, preview: Mapping[str, Any]) -> None:
    console.print(Text(name, style="bold"))
    for warning in preview.get("warnings", []):
        console.print(Text(f"  ! {warning['message']} {warning['next_step']}".rstrip(), "yellow"))
    if preview and not preview["changes"]:
        console.print("  Nothing would change.")
    for change in preview.get("changes", []):
        console.print(Text(f"  • {change['says']}"))
        if change["interrupts"]:
            console.print(
                f"    Clients are without the server for about {change['interrupts']} ms."
            )
        for line in change["lines"]:
            mark, colour = _LINES.get(line["kind"], (" ", "dim"))
            console.print(Text(f"      {mark} {line['text']}", style=colour))


def _status_rows(group: NodeGroup, installation: Installation | None) -> list[dict[str, Any]]:
    """Return every node of the group: one that was never observed is unknown, not absent."""
    seen = {
        row.node_id: row
        for row in NodeInstallation.objects.filter(installation=installation).defer("baseline")
    }
    return [_status_row(node.name, seen.get(node.pk)) for node in group.nodes.order_by("name")]


def _status_row(name: str, row: NodeInstallation | None) -> dict[str, Any]:
    return {
        "name": name,
        "observed": row.observed if row else {},
        "conditions": row.conditions if row else [],
        "observed_at": row.observed_at.isoformat() if row and row.observed_at else None,
        "observed_generation": row.observed_generation if row else 0,
    }


def _well(row: Mapping[str, Any]) -> bool:
    conditions = row["conditions"]
    return bool(conditions) and all(each["status"] == "true" for each in conditions)
