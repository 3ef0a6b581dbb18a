"""Two workers, two runs at once on each of 20 nodes, on SQLite and on PostgreSQL."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, NodeSpec
from tests.fleet.postgres import postgres
from tests.labs import fresh, name_of_lab
from tests.live_panel import LivePanel, live_panel

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

LAB = name_of_lab("fleet")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Lab]:
    with fresh(Lab(name=LAB)) as lab:
        lab.up([NodeSpec(name=f"node-{number}") for number in range(1, 21)])
        yield lab


def act(panel: LivePanel, nodes: int) -> dict[str, Any]:
    done = panel.run_module("tests.fleet.scene", LAB, str(nodes), timeout=280)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("database", "nodes"),
    [("sqlite", 20), ("postgresql", 8), pytest.param("postgresql", 20, marks=pytest.mark.long)],
)
def test_two_runs_at_once_on_each_node_all_end_right(
    fleet: Lab, database: str, nodes: int, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres()) if database == "postgresql" else ""
        running = live_panel(tmp_path / "state", database=url, extra_workers=1)
        panel = stack.enter_context(running)
        result = act(panel, nodes)
        said = panel.log.read_text()
    assert result["install"]["states"] == {"succeeded": 2 * nodes}, (result, said[-3000:])
    assert result["uninstall"]["states"] == {"succeeded": nodes}, (result, said[-3000:])
    assert result["install"]["locks"] == result["uninstall"]["locks"] == 0
    assert result["install"]["attempts"] == 1
    assert "locked" not in said
    print(database, result["install"]["seconds"], f"s for {2 * nodes} runs")
