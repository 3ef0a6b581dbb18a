"""A real panel whose broker forgets everything, or delivers each message several times."""

import json
from pathlib import Path

import pytest

from lab import Lab, NodeSpec
from tests.labs import fresh, name_of_lab
from tests.live_panel import live_panel

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

LAB = name_of_lab("broker")
NODES = 4


def test_runs_end_right_though_the_broker_is_emptied_or_delivers_twice(tmp_path: Path) -> None:
    with fresh(Lab(name=LAB)) as lab:
        lab.up([NodeSpec(name=f"node-{number}") for number in range(1, NODES + 1)])
        with live_panel(tmp_path / "state", extra_workers=1) as panel:
            done = panel.run_module("tests.fleet.flood", LAB, timeout=280)
            said = panel.log.read_text()
        assert done.returncode == 0, done.stderr.decode()
        result = json.loads(done.stdout.splitlines()[-1])
    assert result["emptied"]["states"] == {"succeeded": 2 * NODES}, (result, said[-3000:])
    assert result["twice"]["states"] == {"succeeded": NODES}, (result, said[-3000:])
    for part in result.values():
        assert (part["attempts"], part["locks"]) == (1, 0)
    print(result["emptied"]["seconds"], "s with the broker emptied again and again")
