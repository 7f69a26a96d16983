"""What was measured, as tables and a plot: ratios beside their targets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROWS = {"small": 10_000, "month": 1_369_765, "year": 16_437_180}
"""Inputs: a small month, as many rows as January 2021 has, and twelve times as many in one file."""


@dataclass(frozen=True)
class Figure:
    """One process, or the medians of several.

    Attributes:
        wall: Seconds from start to end.
        work: Seconds of the work, by the way's own clock.
        memory: Peak resident memory in MiB.
        bytes: Size of the file it wrote, 0 if it did not say.
    """

    wall: float
    work: float
    memory: float
    bytes: int = 0


Figures = Mapping[tuple[str, str], Figure]
"""Figures by way and input."""


@dataclass(frozen=True)
class Target:
    """A ratio or figure with its bound.

    Attributes:
        name: What is measured.
        within: `operator.le` or `operator.ge`: the side of the bound on which the value should be.
        bound: The bound.
        unit: Of the value.
        value: The value, from the figures.
    """

    name: str
    within: Callable[[float, float], bool]
    bound: float
    unit: str
    value: Callable[[Figures], float]


def _ratio(of: str, way: tuple[str, str], base: tuple[str, str]) -> Callable[[Figures], float]:
    return lambda figures: float(getattr(figures[way], of) / getattr(figures[base], of))


_COPY, _PANDAS = ("duckdb COPY", "month"), ("tutorial pandas", "month")
_CLEANING, _CHAIN = ("cleaning", "month"), ("local chain", "month")
_COMMAND = ("run command", "month")
_LARGE, _LARGE_CHAIN = ("cleaning", "year"), ("local chain", "year")
_OURS = ("cleaning", "local chain", "gcp chain", "COPY", "run command")
_LESS, _MORE = operator.le, operator.ge

TARGETS = (
    Target("cleaning / duckdb COPY, time", _LESS, 1.25, "x", _ratio("work", _CLEANING, _COPY)),
    Target("tutorial pandas / cleaning, time", _MORE, 8, "x", _ratio("work", _PANDAS, _CLEANING)),
    Target("cleaning / tutorial pandas, memory", _LESS, 1 / 3, "x", _ratio("memory", _CLEANING, _PANDAS)),
    Target("local chain / duckdb COPY, time", _LESS, 2.5, "x", _ratio("work", _CHAIN, _COPY)),
    Target("run command / duckdb COPY, whole process", _LESS, 2.9, "x", _ratio("wall", _COMMAND, _COPY)),
    Target("cleaning 16.4 M / 1.4 M rows, memory", _LESS, 1.15, "x", _ratio("memory", _LARGE, _CLEANING)),
    Target("local chain 16.4 M / 1.4 M rows, memory", _LESS, 1.15, "x", _ratio("memory", _LARGE_CHAIN, _CHAIN)),
    Target("local chain of 16.4 M rows, memory", _LESS, 512, "MiB", lambda f: f[_LARGE_CHAIN].memory),
    Target("local chain 16.4 M / 1.4 M rows, time", _LESS, 12.5, "x", _ratio("work", _LARGE_CHAIN, _CHAIN)),
    Target("cleaned / tutorial's gzip Parquet, size", _LESS, 1.0, "x", _ratio("bytes", _CLEANING, _PANDAS)),
    Target(
        "each further month of 10,000 rows",
        _LESS,
        0.7,
        "s",
        lambda f: (f["13 months", "small"].work - f["1 month", "small"].work) / 12,
    ),
    Target("run of one month of 10,000 rows, whole process", _LESS, 4, "s", lambda f: f["1 month", "small"].wall),
    Target(
        "second run of 24 unchanged months, a month", _LESS, 0.1, "s", lambda f: f["24 unchanged", "small"].work / 24
    ),
    Target(
        "pandas to_sql / Postgres COPY, time", _MORE, 20, "x", _ratio("work", ("to_sql", "month"), ("COPY", "month"))
    ),
)


def table(figures: Figures) -> str:
    """Return the figures and the targets as Markdown."""
    lines = [
        "| way | rows | work, s | whole process, s | peak, MiB | file, MB | time / duckdb COPY |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for (way, size), f in figures.items():
        base = figures.get(("duckdb COPY", size))
        ratio = f"{f.work / base.work:.2f}" if base else ""
        megabytes = f"{f.bytes / 1e6:.1f}" if f.bytes else ""
        lines.append(
            f"| {way} | {ROWS[size]:,} | {f.work:.2f} | {f.wall:.2f} | {f.memory:.0f} | {megabytes} | {ratio} |"
        )
    lines += ["", "| | target | measured | |", "|---|--:|--:|---|"]
    for target in TARGETS:
        try:
            value = target.value(figures)
        except KeyError:  # not measured
            continue
        side = "≤" if target.within is _LESS else "≥"
        met = "met" if target.within(value, target.bound) else "missed"
        lines.append(f"| {target.name} | {side} {target.bound:.3g} {target.unit} | {value:.3g} {target.unit} | {met} |")
    return "\n".join(lines) + "\n"


def plot(figures: Figures, path: Path) -> None:
    """Draw time and memory of every way for the month of 1.4 million rows."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    ways = [(way, f) for (way, size), f in figures.items() if size == "month"][::-1]
    names = [way for way, _ in ways]
    picture, (time, memory) = plt.subplots(1, 2, figsize=(10, 0.35 * len(ways) + 1), sharey=True, layout="constrained")
    ours = ["#0072B2" if name in _OURS else "#999999" for name in names]
    for axes, values, title in (
        (time, [f.work for _, f in ways], "seconds of work"),
        (memory, [f.memory for _, f in ways], "peak memory of the process, MiB"),
    ):
        bars = axes.barh(names, values, color=ours)
        axes.bar_label(bars, fmt="%.3g", padding=2, fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.12)
    picture.suptitle("One month of 1,369,765 trips; this project's ways in blue", fontsize=11)
    picture.savefig(path, dpi=120)
