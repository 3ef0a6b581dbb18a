"""``manage.py run list|show|stop|retry|resolve``."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from rich.console import Console

from addons.models import Run
from addons.runs.services import run_resolve, run_retry_put_back, run_stop
from instances.errors import NotFound
from instances.reason import Reason
from panel.management.progress import Progress, sentence, summary
from panel.management.terminal import (
    FAILED,
    OK,
    NounCommand,
    Verbs,
    reason_of,
    require_worker,
    table,
    terminal_actor,
)
from panel.management.waiting import records_after, run_follow


class Command(NounCommand):
    """Runs: actions on add-ons, under way or ended."""

    help = "Look at runs, stop them, and settle those that are stuck."

    def add_verbs(self, verbs: Verbs) -> None:
        """Declare the verbs."""
        listed = verbs.add("list", self._list, "list the latest runs")
        listed.add_argument("--limit", type=int, default=20)
        listed.add_argument("--json", action="store_true")
        show = _numbered(verbs.add("show", self._show, "show what a run did"))
        show.add_argument("--follow", action="store_true", help="stay until it has ended")
        show.add_argument("--json", action="store_true")
        _numbered(verbs.add("stop", self._stop, "stop a run before its next step; put back"))
        _numbered(verbs.add("retry", self._retry, "put back again what a stuck run left"))
        resolve = _numbered(verbs.add("resolve", self._resolve, "say that you put it right"))
        resolve.add_argument("--note", required=True, help="what you did, for the audit log")

    def _list(self, options: Namespace) -> None:
        rows = [_brief(run) for run in _runs()[: options.limit]]
        if options.json:
            self.print_json(rows)
        else:
            lines = [tuple(str(value) for value in row.values()) for row in rows]
            self.console.print(
                table("RUN", "ADD-ON", "ACTION", "GROUP", "STATE", "BY", "AT", rows=lines)
            )

    def _show(self, options: Namespace) -> int:
        run = _run(options.run)
        if options.json:
            self.print_json(_full(run))
        elif options.follow:
            with Progress(self.console, Console(file=sys.stderr)) as progress:
                run = run_follow(run.pk, until=lambda now: now.ended, watcher=progress)
        else:
            for record in records_after(run, 0):
                self.console.print(sentence(record))
        if not options.json:
            self.console.print(summary(run, list(run.nodes.select_related("node"))))
            if run.failure:
                self.complain(reason_of(run.failure))
        return OK if not run.failure else FAILED

    def _stop(self, options: Namespace) -> None:
        run_stop(actor=terminal_actor(), run=_run(options.run))
        self.stdout.write(
            f"Run {options.run} stops before its next step and puts back what it changed. "
            f"Follow it with `manage.py run show {options.run} --follow`."
        )

    def _retry(self, options: Namespace) -> None:
        require_worker()
        run_retry_put_back(actor=terminal_actor(), run=_run(options.run))
        self.stdout.write(f"Run {options.run} puts back again.")

    def _resolve(self, options: Namespace) -> None:
        run_resolve(actor=terminal_actor(), run=_run(options.run), note=options.note)
        self.stdout.write(f"Run {options.run} is resolved; its machines are free.")


def _numbered(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("run", type=int, metavar="NUMBER")
    return parser


def _runs() -> Any:
    return Run.objects.select_related("installation__group__environment")


def _run(number: int) -> Run:
    found: Run | None = _runs().filter(pk=number).first()
    if found is None:
        raise NotFound(
            Reason(
                "NoRun", f"There is no run {number}.", "`manage.py run list` shows the latest ones."
            )
        )
    return found


def _brief(run: Run) -> dict[str, object]:
    return {
        "run": run.pk,
        "addon": run.installation.addon,
        "action": run.action,
        "group": str(run.installation.group),
        "state": run.state,
        "by": run.actor_name,
        "at": run.created_at.isoformat(timespec="seconds"),
    }


def _full(run: Run) -> dict[str, object]:
    return _brief(run) | {
        "cause": run.cause or None,
        "nodes": [
            {"name": row.node.name, "state": row.state} for row in run.nodes.select_related("node")
        ],
        "records": [
            {
                "at": record.at.isoformat(),
                "node": record.node.name if record.node else None,
                "step": record.step,
                "kind": record.kind,
                "says": record.says,
            }
            for record in records_after(run, 0)
        ],
        "failure": run.failure,
    }
