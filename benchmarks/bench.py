"""`make bench`: measures every way in one run, interleaved, and prints ratios beside their targets.

Each way is a process of its own; wall time and peak memory are the operating system's. Medians over the rounds.
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
    arguments = parser.parse_args()
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("TAXI_", "DAGSTER_"))}
    figures: dict[tuple[str, str], list[Figure]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        google = stack.enter_context(cloud.servers(folder / "cloud"))
        environment = plain | google | stack.enter_context(postgres.servers())
        sizes = ["month"] if arguments.quick else ["month", "year"]
        inputs = {size: write_month(folder / f"{size}.csv.gz", Month.parse(MONTH), ROWS[size]) for size in sizes}
        plan = [(way, "month") for way in WAYS] + [(way, size) for size in sizes[1:] for way in LARGE]
        for round_ in range(arguments.rounds):
            for way, size in plan if round_ % 2 == 0 else reversed(plan):
                (out := folder / "out").mkdir()
                command = [sys.executable, "-m", "benchmarks.one", way, str(inputs[size]), str(out)]
                figure, _ = measure(command, environment)
                figures.setdefault((way, size), []).append(figure)
                shutil.rmtree(out)
                print(f"{round_ + 1}: {way}, {size}: {figure.work:.2f} s, {figure.memory:.0f} MiB", file=sys.stderr)
            figures.setdefault(("run command", "month"), []).append(full_month(folder, inputs["month"], plain))
            for name, figure in small_months(folder, plain).items():
                figures.setdefault((name, "small"), []).append(figure)
    medians = {key: median(figures[key]) for key in [*plan, *(key for key in figures if key not in plan)]}
    print(text := table(medians))
    if arguments.out:
        before, rest = arguments.out.read_text("utf-8").split(OPEN)
        arguments.out.write_text(f"{before}{OPEN}\n{text}{CLOSE}{rest.split(CLOSE)[1]}", "utf-8")
        plot(medians, arguments.out.parent / "images" / "performance.png")


def measure(command: list[str], environment: dict[str, str]) -> tuple[Figure, str]:
    """Run a process and return what it took, and its standard output."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    last = output.strip().splitlines()[-1] if output.strip() else ""
    result = json.loads(last) if last.startswith("{") else {}
    return Figure(wall, result.get("seconds", wall), usage.ru_maxrss / 1024, result.get("bytes", 0)), output


def run_command(folder: Path, months: str, source: str, environment: dict[str, str]) -> tuple[Figure, str]:
    """Measure `taxi-assets run` of yellow months.

    Args:
        folder: The data folder.
        months: The months, as the command takes them.
        source: Address of a month.
        environment: Variables of the process.
    """
    settings = {"TAXI_CSV_URL": source, "TAXI_SOURCE": "csv", "TAXI_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", months, "--json"]
    return measure(command, environment | settings)


def full_month(folder: Path, source: Path, environment: dict[str, str]) -> Figure:
    """Measure the command on a month of 1.4 million rows, the whole process."""
    (mirror := folder / "full").mkdir(exist_ok=True)
    (path := mirror / f"yellow_{MONTH}.csv.gz").unlink(missing_ok=True)
    path.symlink_to(source)
    url = f"file://{mirror}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    figure, _ = run_command(folder / "data-full", MONTH, url, environment)
    shutil.rmtree(folder / "data-full")
    return figure


def small_months(folder: Path, environment: dict[str, str]) -> dict[str, Figure]:
    """Measure the command on small months: one, thirteen, and 24 a second time."""
    mirror = folder / "small"
    months = [Month(2019, 1).plus(n) for n in range(24)]
    for month in months:
        if not (path := mirror / f"yellow_{month}.csv.gz").exists():
            write_month(path, month, ROWS["small"])
    source = f"file://{mirror}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    found = {}
    for name, data, last in (
        ("1 month", "one", months[0]),
        ("13 months", "thirteen", months[12]),
        ("24 first", "all", months[23]),
        ("24 unchanged", "all", months[23]),
    ):
        figure, output = run_command(folder / f"data-{data}", f"{months[0]}..{last}", source, environment)
        work = sum(row["seconds"] or 0 for row in json.loads(output)) if data == "all" else figure.wall
        found[name] = Figure(figure.wall, work, figure.memory)
    for data in ("one", "thirteen", "all"):
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
