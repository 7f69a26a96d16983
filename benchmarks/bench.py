"""`make bench`: measure every way in one run, interleaved, and print ratios beside their targets.

Each way is a process of its own; wall time, CPU time and peak memory are the operating system's. Medians over rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import cloud, postgres
from benchmarks.figures import ROWS, Figure, plot, table
from benchmarks.one import WAYS
from benchmarks.ways import MONTH
from taxi_assets.months import Month

OPEN, CLOSE = "<!-- figures -->", "<!-- /figures -->"
"""Between these the page holds the figures."""

LARGE = ("duckdb COPY", "cleaning", "local chain")
"""Ways that are measured with the larger inputs too."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, interleaved (3)")
    parser.add_argument("--quick", action="store_true", help="leave out the inputs above 1.4 M rows")
    parser.add_argument("--out", type=Path, help="page whose figures and plot are renewed")
    words = parser.parse_args()
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("TAXI_", "DAGSTER_"))}
    figures: dict[tuple[str, str], list[Figure]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        google = stack.enter_context(cloud.servers(folder / "cloud"))
        environment = plain | google | stack.enter_context(postgres.servers())
        sizes = ["month"] if words.quick else ["month", "year"]
        inputs = {size: write_month(folder / f"{size}.csv.gz", Month.parse(MONTH), ROWS[size]) for size in sizes}
        plan = [(way, "month") for way in WAYS] + [(way, size) for size in sizes[1:] for way in LARGE]
        for round_ in range(words.rounds):
            for way, size in plan if round_ % 2 == 0 else reversed(plan):
                (out := folder / "out").mkdir()
                command = [sys.executable, "-m", "benchmarks.one", way, str(inputs[size]), str(out)]
                figure, _ = measure(command, environment)
                figures.setdefault((way, size), []).append(figure)
                shutil.rmtree(out)
                print(f"{round_ + 1}: {way}, {size}: {figure.work:.2f} s, {figure.memory:.0f} MiB", file=sys.stderr)
            for name, figure in small_months(folder, plain).items():
                figures.setdefault((name, "small"), []).append(figure)
    medians = {key: median(figures[key]) for key in [*plan, *(key for key in figures if key not in plan)]}
    print(text := table(medians))
    if words.out:
        before, rest = words.out.read_text("utf-8").split(OPEN)
        words.out.write_text(f"{before}{OPEN}\n{text}{CLOSE}{rest.split(CLOSE)[1]}", "utf-8")
        plot(medians, words.out.parent / "images" / "performance.png")


def measure(words: list[str], environment: dict[str, str]) -> tuple[Figure, str]:
    """Run a process and return what it took, and its standard output."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    last = output.strip().splitlines()[-1] if output.strip() else ""
    said = json.loads(last) if last.startswith("{") else {}
    return Figure(wall, said.get("seconds", wall), usage.ru_maxrss / 1024, said.get("bytes", 0)), output


def small_months(folder: Path, environment: dict[str, str]) -> dict[str, Figure]:
    """Measure `taxi-assets run` of small months: one, thirteen in a range, and 24 a second time."""
    mirror = folder / "small"
    months = [Month(2019, 1).plus(n) for n in range(24)]
    for month in months:
        if not (path := mirror / f"yellow_{month}.csv.gz").exists():
            write_month(path, month, ROWS["small"])
    found = {}
    for name, data, last in (
        ("range of 1", "one", months[0]),
        ("range of 13", "range", months[12]),
        ("24 first", "all", months[23]),
        ("24 unchanged", "all", months[23]),
    ):
        settings = {
            "TAXI_CSV_URL": f"file://{mirror}/{{dataset}}_{{year}}-{{month:02}}.csv.gz",
            "TAXI_SOURCE": "csv",
            "TAXI_DATA_DIR": str(folder / f"data-{data}"),
        }
        words = [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", f"{months[0]}..{last}", "--json"]
        figure, output = measure(words, environment | settings)
        work = figure.wall if "range" in name else sum(row["seconds"] for row in json.loads(output))
        found[name] = Figure(figure.wall, work, figure.memory)
    for data in ("one", "range", "all"):
        shutil.rmtree(folder / f"data-{data}")
    return found


def write_month(path: Path, month: Month, rows: int) -> Path:
    """Make an input, in a process of its own: a child's peak memory counts from its parent's (Linux, fork)."""
    code = (
        "import sys; from pathlib import Path; from taxi_assets.demo.sample import write_month; "
        "from taxi_assets.months import Month; "
        "write_month(Path(sys.argv[1]), 'yellow', Month.parse(sys.argv[2]), int(sys.argv[3]))"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(month), str(rows)], check=True)
    return path


def median(runs: list[Figure]) -> Figure:
    """Return the median of each figure."""
    wall, work, memory = (statistics.median(getattr(run, name) for run in runs) for name in ("wall", "work", "memory"))
    return Figure(wall, work, memory, runs[0].bytes)


if __name__ == "__main__":
    main()
