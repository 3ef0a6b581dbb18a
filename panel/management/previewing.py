"""How the terminal shows a preview, and what it says of a run to programs."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from addons.models import Run

_MARKS = {"add": ("+", "green"), "del": ("-", "red"), "hunk": ("@", "cyan")}


def print_preview(console: Console, name: str, preview: Mapping[str, Any]) -> None:
    """Print what would change on a node, with its warnings."""
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
        if change["delays"]:
            console.print(f"    Writes wait for about {change['delays']} ms.")
        print_lines(console, change["lines"])


def print_lines(console: Console, lines: Iterable[Mapping[str, str]]) -> None:
    """Print the lines of a difference."""
    for line in lines:
        mark, colour = _MARKS.get(line["kind"], (" ", "dim"))
        console.print(Text(f"      {mark} {line['text']}", style=colour))


def run_json(run: Run, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a run for programs."""
    return {"run": run.pk, "state": run.state, "nodes": nodes, "failure": run.failure or None}


def plan_json(run: Run) -> dict[str, Any]:
    """Return a preview for programs."""
    return run_json(
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
