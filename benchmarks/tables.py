"""What was measured, as tables and a plot: ratios beside their targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.inputs import INPUTS, SMALL_ROWS
from benchmarks.measure import Figure
from benchmarks.plan import WAYS
from benchmarks.targets import GROWTH_TARGETS, TARGETS, Target

Figures = Mapping[tuple[str, str], Figure]
"""Figures by way and input."""


def ways(figures: Figures) -> str:
    """Return the figures of the ways and the targets as Markdown."""
    lines = [
        "| way | input | rows | work, s | whole process, s | peak, MiB | file, MB | time / duckdb COPY |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for (way, given), f in figures.items():
        base = figures.get(("duckdb COPY", given))
        ratio = f.work / base.work if base and f.work else f.wall / base.wall if base else 0
        rows = INPUTS[given].rows if given in INPUTS else SMALL_ROWS
        cells = [way, given, f"{rows:,}", f"{f.work:.2f}" if f.work else "", f"{f.wall:.2f}", f"{f.memory:.0f}"]
        cells += [f"{f.bytes / 1e6:.1f}" if f.bytes else "", f"{ratio:.2f}" if ratio else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *targets(figures, TARGETS)]) + "\n"


def growth(figures: Figures, months: int) -> str:
    """Return the figures of the archive and their targets as Markdown."""
    lines = [f"| {months} months of 10 rows | s | peak, MiB |", "|---|--:|--:|"]
    lines += [
        f"| {name} | {f.wall:.2f} | {f'{f.memory:.0f}' if f.memory else ''} |" for (name, _), f in figures.items()
    ]
    return "\n".join([*lines, "", *targets(figures, GROWTH_TARGETS)]) + "\n"


def targets(figures: Figures, wanted: Sequence[Target]) -> list[str]:
    """Return the lines of a table of targets; those that were not measured are left out."""
    lines = ["| | limit | goal | measured | |", "|---|--:|--:|--:|---|"]
    for target in wanted:
        try:
            value = target.value(figures)
        except KeyError:  # not measured
            continue
        bounds = [f"{target.side} {bound:.3g} {target.unit}" if bound else "" for bound in (target.limit, target.goal)]
        lines.append(f"| {target.name} | {' | '.join(bounds)} | {value:.3g} {target.unit} | {target.outcome(value)} |")
    return lines


def renew(page: Path, name: str, text: str) -> None:
    """Put text between the marks of a name in a page."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = page.read_text("utf-8").split(start)
    page.write_text(f"{before}{start}\n{text}{end}{rest.split(end)[1]}", "utf-8")


def plot(figures: Figures, path: Path) -> None:
    """Draw time and memory of every way for a month of CSV and one of Parquet, but for loads into Postgres."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    shown = {
        name: [(way, f) for (way, given), f in figures.items() if given == name and way not in ("COPY", "to_sql")][::-1]
        for name in ("CSV", "Parquet")
    }
    heights = [len(found) for found in shown.values()]
    size = (10, 0.3 * sum(heights) + 2)
    picture, axes = plt.subplots(2, 2, figsize=size, sharey="row", layout="constrained", height_ratios=heights)
    for row, (name, found) in zip(axes, shown.items(), strict=True):
        colors = ["#0072B2" if WAYS[way].ours else "#999999" for way, _ in found]
        for axis, of, label, title in (
            (row[0], "wall", "{:.1f}", "seconds, whole process"),
            (row[1], "memory", "{:.0f}", "peak memory, MiB"),
        ):
            bars = axis.barh([way for way, _ in found], [getattr(f, of) for _, f in found], color=colors)
            axis.bar_label(bars, fmt=label, padding=2, fontsize=8)
            axis.set_title(f"{name}, {INPUTS[name].rows:,} rows: {title}", fontsize=10)
            axis.spines[["top", "right"]].set_visible(False)
            axis.margins(x=0.12)
    picture.suptitle("One month; this project's ways in blue", fontsize=11)
    picture.savefig(path, dpi=120)
