"""What a comparison found: as JSON for programs, as a table for people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.fleet import QUIET_SHARE
from bench.usage import Usage

_TITLES = {
    "redoubt": "Redoubt",
    "ssh_script": "script over ssh",
}


@dataclass(frozen=True, slots=True)
class Round:
    """One installation.

    Args:
        nodes_cpu_s: What the nodes used of the same processors meanwhile, where the kernel tells.
        busy: Which share of the machine was busy with other things just before.
    """

    usage: Usage
    nodes_cpu_s: float | None
    busy: float


@dataclass(slots=True)
class Report:
    """The rounds of each contender on so many nodes."""

    nodes: int
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def add(self, contender: str, found: Round) -> None:
        """Keep one more."""
        self.rounds.setdefault(contender, []).append(found)

    def as_json(self) -> dict[str, object]:
        """Return the numbers by kind of work, number of nodes and contender, in seconds."""
        contenders = {
            name: {
                "wall_s": [round(each.usage.wall_s, 3) for each in rounds],
                "cpu_s": [round(each.usage.cpu_s, 3) for each in rounds],
                "nodes_cpu_s": [each.nodes_cpu_s and round(each.nodes_cpu_s, 3) for each in rounds],
                "busy_before": [round(each.busy, 2) for each in rounds],
            }
            for name, rounds in self.rounds.items()
        }
        return {"install": {str(self.nodes): contenders}}

    def write(self, path: Path) -> None:
        """Store the numbers."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def print(self, console: Console) -> None:
        """Show medians, with the least and the most of each."""
        table = Table(title=f"Installing encryption on {self.nodes} fresh nodes, in seconds")
        table.add_column("")
        for heading in ("wall", "CPU here", "CPU on nodes"):
            table.add_column(heading, justify="right")
        for name, rounds in self.rounds.items():
            nodes = [each.nodes_cpu_s for each in rounds if each.nodes_cpu_s is not None]
            table.add_row(
                _TITLES.get(name, name),
                _spread([each.usage.wall_s for each in rounds]),
                _spread([each.usage.cpu_s for each in rounds]),
                _spread(nodes) if nodes else "not known",
            )
        console.print(table)
        busiest = max(each.busy for rounds in self.rounds.values() for each in rounds)
        if busiest > QUIET_SHARE:
            console.print(
                f"Other programs kept up to {busiest:.0%} of this machine busy: "
                "repeat this when it is quiet.",
                style="yellow",
            )


def _spread(numbers: Sequence[float]) -> str:
    return f"{median(numbers):.2f} ({min(numbers):.2f}-{max(numbers):.2f})"
