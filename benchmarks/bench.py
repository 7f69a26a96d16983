"""`make bench`: measures every way in one run, interleaved, and prints ratios beside their targets.

Each way is a process of its own; wall time and peak memory are the operating system's. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks import cloud, growth, postgres, tables
from benchmarks.inputs import INPUTS, SMALL_ROWS, make
from benchmarks.measure import Figure, measure, median
from benchmarks.plan import LARGE, WAYS, plan
from benchmarks.product import run_command
from taxi_assets.months import Month, months_between

SMALL = tuple(months_between(Month(2019, 1), Month(2020, 12)))
"""Months of 10,000 rows."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, interleaved (3)")
    parser.add_argument(
        "--quick", action="store_true", help="leave out what takes minutes; growth by 20 months of each dataset"
    )
    parser.add_argument("--growth", action="store_true", help="measure a growing archive instead")
    parser.add_argument("--out", type=Path, help="page whose figures and plot are renewed")
    arguments = parser.parse_args()
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("TAXI_", "DAGSTER_"))}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.growth:
            text = growth.measure_growth(Path(folder), plain, months=20 if arguments.quick else None)
        else:
            figures = measure_ways(Path(folder), plain, arguments.rounds, quick=arguments.quick)
            text = tables.ways(figures)
    print(text)
    if arguments.out:
        tables.renew(arguments.out, "growth" if arguments.growth else "figures", text)
        if not arguments.growth:
            tables.plot(figures, arguments.out.parent / "images" / "performance.png")


def measure_ways(folder: Path, plain: Mapping[str, str], rounds: int, *, quick: bool) -> tables.Figures:
    """Measure every way in every round; return the medians."""
    figures: dict[tuple[str, str], list[Figure]] = {}
    with contextlib.ExitStack() as stack:
        google = stack.enter_context(cloud.servers(folder / "cloud"))
        environment = {**plain, **google, **stack.enter_context(postgres.servers())}
        sources = {}
        for name, given in INPUTS.items():
            if not (quick and name in LARGE):
                made = make(folder / name, given.dataset, str(given.month), given.rows, given.row_group)
                sources[name] = made / given.file
        make(folder / "small", "yellow", f"{SMALL[0]}..{SMALL[-1]}", SMALL_ROWS)
        for round_ in range(rounds):
            for way, given in plan(round_, quick=quick):
                figure = measure_way(way, sources[given], folder / "out", plain, environment)
                figures.setdefault((way, given), []).append(figure)
                print(f"{round_ + 1}: {way}, {given}: {figure.wall:.2f} s, {figure.memory:.0f} MiB", file=sys.stderr)
            for name, figure in small_months(folder, plain).items():
                figures.setdefault((name, "small"), []).append(figure)
    order = [*INPUTS, "small"]
    return {key: median(figures[key]) for key in sorted(figures, key=lambda key: order.index(key[1]))}


def measure_way(name: str, source: Path, out: Path, plain: Mapping[str, str], servers: Mapping[str, str]) -> Figure:
    """Measure a way: a command as a person types it, anything else with the servers at hand."""
    out.mkdir()
    if WAYS[name].command:
        command, settings = WAYS[name].function(source, out)
        figure, _ = measure(command, {**plain, **settings})
    else:
        # as the command and the image have it
        jemalloc = {"ARROW_DEFAULT_MEMORY_POOL": "jemalloc", "JE_ARROW_MALLOC_CONF": "dirty_decay_ms:100"}
        allocator = jemalloc if WAYS[name].ours else {}
        words = [sys.executable, "-m", "benchmarks.one", name, str(source), str(out)]
        figure, _ = measure(words, {**servers, **allocator})
    shutil.rmtree(out)
    return figure


def small_months(folder: Path, plain: Mapping[str, str]) -> dict[str, Figure]:
    """Measure the command on small months: one, thirteen, and 24 a second time."""
    found = {}
    for name, data, last in (
        ("1 month", "one", SMALL[0]),
        ("13 months", "thirteen", SMALL[12]),
        ("24 first", "all", SMALL[23]),
        ("24 unchanged", "all", SMALL[23]),
    ):
        months, place = f"{SMALL[0]}..{last}", f"file://{folder / 'small'}"
        command, settings = run_command("yellow", months, folder / data, place)
        figure, output = measure(command, {**plain, **settings})
        work = sum(row["seconds"] or 0 for row in json.loads(output)) if data == "all" else 0
        found[name] = Figure(figure.wall, figure.memory, work)
    for data in ("one", "thirteen", "all"):
        shutil.rmtree(folder / data)
    return found


if __name__ == "__main__":
    main()
