"""The benchmark tells the truth: its numbers, its judge, and its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from rich.console import Console

from bench.report import Report, Round
from bench.usage import Usage, busy_share, cpu_seconds, machine_ticks
from bench.verify import NotInstalled, verify
from lab import Lab, NodeSpec
from tests.labs import fresh, name_of_lab

CHECKOUT = Path(__file__).parents[1]
BURN = "import time\nwhile time.process_time() < 0.3: pass"


def report_of(*walls: float) -> Report:
    report = Report(nodes=20)
    for wall in walls:
        report.add("redoubt", Round(Usage(wall, wall / 2), nodes_cpu_s=None, busy=0.01))
    return report


def test_results_have_one_number_for_each_round(tmp_path: Path) -> None:
    report_of(0.8, 0.7, 0.9).write(tmp_path / "new" / "results.json")
    written = json.loads((tmp_path / "new" / "results.json").read_text())
    redoubt = written["install"]["20"]["redoubt"]
    assert redoubt["wall_s"] == [0.8, 0.7, 0.9]
    assert redoubt["cpu_s"] == [0.4, 0.35, 0.45]


def test_the_table_shows_medians_not_means() -> None:
    console = Console(record=True, width=100)
    report_of(0.7, 0.8, 9.0).print(console)
    assert "0.80 (0.70-9.00)" in console.export_text()


def test_children_that_have_ended_are_on_the_account() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}]); input()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE) as process:
        while cpu_seconds([process.pid]) < 0.25:
            assert process.poll() is None
        process.communicate(b"\n")


def test_a_machine_is_never_busier_than_wholly() -> None:
    assert 0 <= busy_share((0, 0), machine_ticks()) <= 1
    assert busy_share((5, 10), (5, 10)) == 0


def test_without_rounds_there_is_nothing_to_measure() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--rounds", "0"],
        cwd=CHECKOUT,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 2
    assert b"at least one" in done.stderr


@pytest.mark.lab
def test_a_node_that_serves_no_tls_is_found_out() -> None:
    authority = trustme.CA().cert_pem.bytes().decode()
    with fresh(Lab(name=name_of_lab("judge"))) as lab:
        nodes = lab.up([NodeSpec(name="plain")])
        with pytest.raises(NotInstalled, match="plain: no TLS on"):
            verify(lab, nodes, authority)


@pytest.mark.lab
@pytest.mark.long
def test_each_contender_installs_and_is_verified(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bench", "--nodes", "2", "--rounds", "1"]
    argv += ["--lab", name_of_lab("bench"), "--directory", str(tmp_path)]
    done = subprocess.run(argv, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "results.json").read_text())["install"]["2"]
    assert set(measured) == {"redoubt", "ssh_script"}
    assert all(0 < number < 60 for each in measured.values() for number in each["wall_s"])
