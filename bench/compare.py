"""The comparison: contenders take turns, each on nodes that nobody has touched before."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.contender import Contender
from bench.fleet import fresh_nodes, wait_until_quiet
from bench.report import Report, Round
from bench.verify import verify
from lab import Lab

# On a hybrid host the second tree has the accounts of control groups.
_ACCOUNTS = ("/sys/fs/cgroup/redoubt-lab", "/sys/fs/cgroup/unified/redoubt-lab")


def compare(
    lab: Lab, contenders: Sequence[Contender], *, nodes: int, rounds: int, console: Console
) -> Report:
    """Return what each took in each round, every node verified after every install.

    Raises:
        InstallFailed: A contender did not get through.
        NotInstalled: It did not do what it said.
    """
    report = Report(nodes)
    for number in range(rounds):
        # Who goes first changes, so that what drifts on this machine favours nobody.
        turns = contenders if number % 2 == 0 else list(reversed(contenders))
        for contender in turns:
            found = _measure(lab, contender, nodes)
            report.add(contender.name, found)
            console.print(
                f"round {number + 1}, {contender.name}: {found.usage.wall_s:.2f} s, "
                f"CPU {found.usage.cpu_s:.2f} s",
                highlight=False,
            )
    return report


def _measure(lab: Lab, contender: Contender, count: int) -> Round:
    with fresh_nodes(lab, count) as nodes:
        contender.prepare(nodes)
        busy = wait_until_quiet()
        before = _nodes_cpu(lab)
        usage = contender.install()
        after = _nodes_cpu(lab)
        verify(lab, nodes, contender.authority())
    used = None if before is None or after is None else after - before
    return Round(usage, nodes_cpu_s=used, busy=busy)


def _nodes_cpu(lab: Lab) -> float | None:
    """Return the seconds that all nodes of the lab have used so far."""
    for tree in _ACCOUNTS:
        account = Path(tree) / lab.name / "cpu.stat"
        if account.exists():
            words = account.read_text().split()
            return int(words[words.index("usage_usec") + 1]) / 1e6
    return None
