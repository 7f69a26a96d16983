"""What `make torture` tells at its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taxi_assets_tests.torture.bench import ROOT

TESTS = """
import pytest

@pytest.mark.torture
@pytest.mark.parametrize("number", range(4))
def test_something(tally, number):
    tally.add(kills=KILLS, faults=40)
    tally.compare({"trips": [(1,), (1,), (2,)]}, {"trips": FOUND})
"""


@pytest.mark.parametrize(
    ("processes", "kills", "found", "said"),
    [
        ("0", 90, [(1,), (1,), (2,)], "kills                            360"),
        ("2", 90, [(2,), (1,), (1,)], "kills                            360"),
        ("2", 89, [(1,), (1,), (2,)], "kills: 360 must be tried"),
        ("0", 90, [(1,), (2,), (2,)], "lost or doubled rows               8"),
    ],
    ids=["enough", "enough in two processes", "too few", "one row lost and one doubled"],
)
def test_the_figures_of_all_processes_are_added_and_a_shortfall_or_a_loss_fails(
    tmp_path: Path, processes: str, kills: int, found: list[tuple[int]], said: str
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = torture: as here\n")
    (tmp_path / "test_it.py").write_text(TESTS.replace("KILLS", str(kills)).replace("FOUND", str(found)))
    words = ["-m", "pytest", "-p", "taxi_assets_tests.torture.tally", "-m", "torture", "-n", processes]
    environment = {"PYTHONPATH": str(ROOT), "PATH": str(Path(sys.executable).parent)}
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert said in done.stdout
    assert done.returncode == (0 if kills == 90 and "360" in said else 1)
