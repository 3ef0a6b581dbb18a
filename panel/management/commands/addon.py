"""``manage.py addon plan|install|configure|reissue|uninstall|status|clients|verify|repair``."""

import sys
from argparse import ArgumentParser, Namespace

from django.utils import timezone
from rich.console import Console

from addons.actions import CONFIGURE, INSTALL, REISSUE, UNINSTALL
from addons.catalogue import AddOn, addon_named
from addons.encryption.plaintext_seen import plaintext_evidence
from addons.encryption.remembering import KEPT
from addons.models import Run
from addons.runs.services import run_confirm, run_create, run_discard
from addons.watch.services import installation_on
from instances.selectors import group_named
from panel.management.plaintext import MOST, evidence_json, print_evidence
from panel.management.previewing import plan_json, print_preview, run_json
from panel.management.progress import Progress, Silence, summary
from panel.management.standing import print_standing, standing_of
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
    terminal_actor,
)
from panel.management.verifying import print_row, row_json, status_of, verified
from panel.management.waiting import run_follow

_PLANNED = {
    CONFIGURE: "changing settings",
    REISSUE: "re-issuing certificates",
    UNINSTALL: "uninstalling",
}


class Command(NounCommand):
    """Add-ons: what can be done to a group of nodes."""

    help = "Preview, install and uninstall add-ons, re-issue certificates, see how they stand."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare the verbs."""
        plan = _named(verbs.add("plan", self._plan, "show what an installation would change"))
        _settings(plan)
        other = plan.add_mutually_exclusive_group()
        for action, doing in _PLANNED.items():
            says = f"what {doing} would change"
            other.add_argument(
                f"--{action}", dest="action", action="store_const", const=action, help=says
            )
        install = _named(verbs.add("install", self._install, "install on every node of a group"))
        _settings(install)
        _confirmed(install)
        says = "change settings where it is installed already"
        configure = _named(verbs.add("configure", self._configure, says))
        _settings(configure, required=True)
        _confirmed(configure)
        says = "put new certificates in the place of the present ones"
        _confirmed(_named(verbs.add("reissue", self._reissue, says)))
        _confirmed(_named(verbs.add("uninstall", self._uninstall, "put the nodes back")))
        _named(verbs.add("status", self._status, "show what was last observed"))
        clients = verbs.add("clients", self._clients, "show who has spoken plaintext of late")
        _days(_named(clients))
        _named(verbs.add("verify", self._verify, "look at every node now, and show what differs"))
        _confirmed(_named(verbs.add("repair", self._repair, "make every node as wanted again")))

    def _plan(self, options: Namespace) -> int:
        require_worker()
        run = self._preview(options, options.action or INSTALL)
        if options.json:
            self.print_json(plan_json(run))
        if run.state == Run.State.PREVIEWED:
            # Nobody is to find it later and think that somebody waits for it.
            run_discard(actor=terminal_actor(), run=run)
        return FAILED if run.failure else OK

    def _install(self, options: Namespace) -> int:
        return self._act(options, INSTALL)

    def _configure(self, options: Namespace) -> int:
        return self._act(options, CONFIGURE)

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
            print_preview(self.console, row.node.name, row.preview)
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
            self.print_json(run_json(run, nodes))
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

    def _status(self, options: Namespace) -> int:
        addon = addon_named(options.addon)
        standing = standing_of(group_named(options.environment, options.group), addon)
        if options.json:
            self.print_json(standing.as_json())
        else:
            print_standing(self.console, standing)
        return OK if standing.well else FAILED

    def _clients(self, options: Namespace) -> int:
        group = group_named(options.environment, options.group)
        installation_on(group=group, addon=options.addon)
        now = timezone.now()
        found = plaintext_evidence(group, now=now, days=options.days, most=MOST)
        if options.json:
            self.print_json(evidence_json(found))
        else:
            print_evidence(self.console, found, now)
        return OK

    def _repair(self, options: Namespace) -> int:
        """Install with the settings in force: what is as wanted already is left alone."""
        group = group_named(options.environment, options.group)
        installation_on(group=group, addon=options.addon)
        return self._act(options, INSTALL)


def _named(parser: ArgumentParser) -> ArgumentParser:
    for name in ("environment", "group", "addon"):
        parser.add_argument(name)
    parser.add_argument("--json", action="store_true", help="print for programs")
    return parser


def _settings(parser: ArgumentParser, *, required: bool = False) -> None:
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        required=required,
        help="a setting",
    )


def _days(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=_number_of_days, default=7, metavar="N", help="how far back; 7 unless told"
    )


def _confirmed(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="start at once, without a preview")


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(text)
    return key, value


def _number_of_days(text: str) -> int:
    days = int(text)
    if not 0 < days <= KEPT.days:
        raise ValueError(text)
    return days


# argparse names the types by this in its messages.
_setting.__name__ = "KEY=VALUE"
_number_of_days.__name__ = f"number from 1 to {KEPT.days}"


def _addon(run: Run) -> AddOn:
    return addon_named(run.installation.addon)


def _errors() -> Console:
    return Console(file=sys.stderr, highlight=False)
